"""Samples of speech: what features accept, 16 bits, the filter that precedes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["RATE", "check_samples", "from_int16", "pre_emphasize", "to_int16"]

RATE = 16000
"""Samples per second that speech features expect."""

_PRE_EMPHASIS = 0.97

_INT16 = np.iinfo(np.int16)
_FULL_SCALE = -float(_INT16.min)


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


def to_int16(samples: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.int16]:
    """Rounds samples to 16 bits, and clips them to these.

    Args:
        samples: Finite floats of any shape, in [-1, 1].

    Returns:
        int16 array of that shape; `from_int16` and back changes nothing.
    """
    scaled = np.clip(np.rint(samples * _FULL_SCALE), _INT16.min, _INT16.max)
    rounded: npt.NDArray[np.int16] = scaled.astype(np.int16)
    return rounded


def from_int16(samples: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    """Returns samples of 16 bits as floats in [-1, 1)."""
    floats: npt.NDArray[np.float32] = samples / np.float32(_FULL_SCALE)
    return floats


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
