"""Samples of speech: what features accept, and the filter that precedes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["RATE", "check_samples", "pre_emphasize"]

RATE = 16000
"""Samples per second that speech features expect."""

_PRE_EMPHASIS = 0.97


def check_samples(samples: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Checks the sound of one channel.

    Args:
        samples: Floating-point array with shape (n,), in [-1, 1].

    Returns:
        The samples as float64.

    Raises:
        ValueError: If the shape or type differs, or a sample is no finite number.
    """
    samples = np.asarray(samples)
    if samples.ndim != 1:
        raise ValueError(
            f"samples must have the shape (n,), got {samples.shape}; average the "
            "channels first"
        )
    if not np.issubdtype(samples.dtype, np.floating):
        raise ValueError(
            f"samples must be floats in [-1, 1], got {samples.dtype}; divide integers "
            "by their range, such as 32768 for int16"
        )
    finite = np.isfinite(samples)
    if not finite.all():
        index = int(np.argmin(finite))
        raise ValueError(
            f"samples must be finite, got {samples[index]} at index {index}"
        )
    return samples.astype(np.float64)


def pre_emphasize(samples: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Raises high frequencies, in which speech is weak: y[t] = x[t] - 0.97 x[t - 1].

    Args:
        samples: float64 array with shape (n,); silence precedes it.

    Returns:
        float64 array with shape (n,).
    """
    result: npt.NDArray[np.float64] = samples.copy()
    result[1:] -= _PRE_EMPHASIS * samples[:-1]
    return result
