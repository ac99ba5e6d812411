"""Mel-frequency cepstral coefficients with the parameters of SyncNet.

SyncNet takes what `python_speech_features` computes by default, on samples as 16-bit
integers: windows of 25 ms without a taper, which is unusual, and the logarithm of the
energy in place of the first coefficient. Equal to version 0.6 of that package.

- [0]: Out of Time: Automated Lip Sync in the Wild, 2016,
  https://www.robots.ox.ac.uk/~vgg/publications/2016/Chung16a/
- [1]: https://github.com/jameslyons/python_speech_features
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from lightly_marlin.audio.samples import RATE, check_samples, pre_emphasize, to_int16

__all__ = ["mfcc"]

_WINDOW = 400
_HOP = 160
_FFT = 512
_NUM_BANDS = 26
_NUM_COEFFICIENTS = 13
_LIFTER = 22

_EPSILON = np.finfo(np.float64).eps

_BLOCK = 4096
"""Steps whose spectra are in memory at once."""


def mfcc(samples: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Computes the cepstral coefficients that SyncNet hears [0].

    Args:
        samples:
            Floating-point array with shape (n,), 16 kHz, in [-1, 1]. Rounded to 16
            bits, and clipped to them.

    Returns:
        float32 array with shape (13, steps), 100 steps per second: steps =
        max(1, 1 + ceil((n - 400) / 160)), and 0 without samples. Column i begins with
        sample 160 i; zeros follow the last sample. Row 0 is the natural logarithm of
        the energy.

    Raises:
        ValueError: If samples have another shape or type, or are not finite.
    """
    sound = pre_emphasize(to_int16(check_samples(samples)).astype(np.float64))
    if len(sound) == 0:
        return np.empty((_NUM_COEFFICIENTS, 0), np.float32)
    steps = 1 + max(0, math.ceil((len(sound) - _WINDOW) / _HOP))
    padded = np.pad(sound, (0, (steps - 1) * _HOP + _WINDOW - len(sound)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
    blocks = [
        _coefficients(windows[begin : begin + _BLOCK])
        for begin in range(0, steps, _BLOCK)
    ]
    return np.ascontiguousarray(np.concatenate(blocks).T, dtype=np.float32)


def _coefficients(windows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Returns the coefficients of windows, (steps, 400) to (steps, 13)."""
    power = np.abs(np.fft.rfft(windows, _FFT)) ** 2 / _FFT
    bands = np.log(_positive(power @ _filters().T))
    result: npt.NDArray[np.float64] = bands @ _lifted_cosines().T
    result[:, 0] = np.log(_positive(power.sum(axis=1)))
    return result


def _positive(energy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Returns energies of which zeros, of silence, are the machine epsilon."""
    return np.where(energy == 0, _EPSILON, energy)


@functools.cache
def _filters() -> npt.NDArray[np.float64]:
    """Triangular filters of equal height with corners on bins, float64 (26, 257)."""
    highest = 2595 * np.log10(1 + RATE / 2 / 700)
    mel = np.linspace(0, highest, _NUM_BANDS + 2)
    corners = np.floor((_FFT + 1) * 700 * (10 ** (mel / 2595) - 1) / RATE)
    left, centre, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    bins = np.arange(_FFT // 2 + 1)
    rising = (bins - left) / (centre - left)
    falling = (right - bins) / (right - centre)
    weights: npt.NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling))
    return weights


@functools.cache
def _lifted_cosines() -> npt.NDArray[np.float64]:
    """The orthonormal DCT-II of bands, and the lifter, as one float64 (13, 26)."""
    order = np.arange(_NUM_COEFFICIENTS)[:, None]
    middles = (np.arange(_NUM_BANDS) + 0.5) / _NUM_BANDS
    cosines = np.cos(np.pi * order * middles) * np.sqrt(2 / _NUM_BANDS)
    # Row 0 needs a factor of its own, but the energy replaces it.
    lifter = 1 + _LIFTER / 2 * np.sin(np.pi * order / _LIFTER)
    weights: npt.NDArray[np.float64] = cosines * lifter
    return weights
