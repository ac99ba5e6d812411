"""Temporal smoothing without lag."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lightly_marlin.utils.dependency import require

__all__ = ["smooth_gaussian", "smooth_polynomial"]


def smooth_gaussian(values: NDArray[np.floating], sigma: float) -> NDArray[np.float64]:
    """Smooths with a Gaussian: strong, symmetric in time, exact on straight motion.

    The sequence is extended beyond its ends by reflection through its end points, which
    keeps steady motion steady there.

    Args:
        values: Array with shape (n, ...), n >= 1, smoothed along the first axis.
        sigma: Standard deviation in frames.

    Returns:
        float64 array with the shape of `values`.
    """
    filters = require("scipy.ndimage", purpose="Smoothing face tracks")
    values = np.asarray(values, dtype=np.float64)
    reach = int(np.ceil(4 * sigma))
    padding = [(reach, reach)] + [(0, 0)] * (values.ndim - 1)
    padded = np.pad(values, padding, mode="reflect", reflect_type="odd")
    smooth = filters.gaussian_filter1d(padded, sigma, axis=0, mode="nearest")
    return np.asarray(smooth[reach : reach + len(values)], dtype=np.float64)


def smooth_polynomial(values: NDArray[np.floating], window: int) -> NDArray[np.float64]:
    """Smooths with a Savitzky-Golay filter of order 2: removes noise, keeps motion.

    Args:
        values: Array with shape (n, ...), n >= 1, smoothed along the first axis.
        window: Odd number of frames per fit; shorter sequences remain unchanged.

    Returns:
        float64 array with the shape of `values`.
    """
    signal = require("scipy.signal", purpose="Smoothing face tracks")
    if len(values) < window:
        return np.array(values, dtype=np.float64)
    smooth = signal.savgol_filter(
        np.asarray(values, dtype=np.float64), window, polyorder=2, axis=0
    )
    return np.asarray(smooth, dtype=np.float64)
