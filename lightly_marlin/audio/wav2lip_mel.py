"""Mel spectrogram with the parameters of Wav2Lip.

80 steps per second, so that 16 steps cover five frames at 25 per second. Equal to
librosa's `stft` with reflected edges, its Slaney filters and Wav2Lip's scaling.

- [0]: A Lip Sync Expert Is All You Need for Speech to Lip Generation In the Wild, 2020,
  https://arxiv.org/abs/2008.10010
- [1]: Auditory Toolbox (M. Slaney), 1998, of which librosa follows the mel scale
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from lightly_marlin.audio.samples import RATE, check_samples, pre_emphasize

__all__ = ["mel_spectrogram"]

_WINDOW = 800
_HOP = 200
_NUM_BANDS = 80
_LOWEST_HZ, _HIGHEST_HZ = 55.0, 7600.0

_REFERENCE_DB = 20.0
_FLOOR_DB = -100.0
_MAX_VALUE = 4.0

# The mel scale of [1]: linear up to 1 kHz, logarithmic above.
_LINEAR_HZ = 200 / 3
_KNEE_HZ = 1000.0
_LOG_STEP = np.log(6.4) / 27

_BLOCK = 4096
"""Steps whose spectra are in memory at once."""


def mel_spectrogram(samples: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Computes the mel spectrogram that lip-sync models of Wav2Lip's kind hear [0].

    Magnitudes of a Fourier transform over Hann windows of 50 ms, centred every 12.5 ms,
    in 80 mel bands from 55 to 7600 Hz, after pre-emphasis. Decibels from -100 to 0
    relative to 20 dB become -4 to 4; what is beyond is clipped.

    Args:
        samples: Floating-point array with shape (n,), 16 kHz, in [-1, 1].

    Returns:
        float32 array with shape (80, steps), in [-4, 4]; steps = 1 + n // 200, and 0
        without samples. Column i is centred on sample 200 i.

    Raises:
        ValueError: If samples have another shape or type, or are not finite.
    """
    sound = pre_emphasize(check_samples(samples))
    if len(sound) == 0:
        return np.empty((_NUM_BANDS, 0), np.float32)
    padded = np.pad(sound, _WINDOW // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
    # The periodic form of the window, as for spectra, ends one sample before zero.
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)
    blocks = [
        np.abs(np.fft.rfft(windows[begin : begin + _BLOCK] * taper)) @ _filters().T
        for begin in range(0, len(windows), _BLOCK)
    ]
    floor = 10 ** (_FLOOR_DB / 20)
    decibels = 20 * np.log10(np.maximum(np.concatenate(blocks), floor)) - _REFERENCE_DB
    scaled = 2 * _MAX_VALUE * (decibels - _FLOOR_DB) / -_FLOOR_DB - _MAX_VALUE
    values: npt.NDArray[np.float32] = np.ascontiguousarray(
        np.clip(scaled, -_MAX_VALUE, _MAX_VALUE).T, dtype=np.float32
    )
    return values


@functools.cache
def _filters() -> npt.NDArray[np.float64]:
    """Triangular filters of equal area, float64 (80, 401)."""
    lowest, highest = _hz_to_mel(np.array([_LOWEST_HZ, _HIGHEST_HZ]))
    corners = _mel_to_hz(np.linspace(lowest, highest, _NUM_BANDS + 2))
    left, centre, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    hz = np.fft.rfftfreq(_WINDOW, 1 / RATE)
    rising = (hz - left) / (centre - left)
    falling = (right - hz) / (right - centre)
    weights: npt.NDArray[np.float64] = (
        np.maximum(0, np.minimum(rising, falling)) * 2 / (right - left)
    )
    return weights


def _hz_to_mel(hz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    above = np.log(np.maximum(hz, _KNEE_HZ) / _KNEE_HZ) / _LOG_STEP
    mel: npt.NDArray[np.float64] = np.minimum(hz, _KNEE_HZ) / _LINEAR_HZ + above
    return mel


def _mel_to_hz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    knee = _KNEE_HZ / _LINEAR_HZ
    above = np.exp(_LOG_STEP * np.maximum(mel - knee, 0))
    hz: npt.NDArray[np.float64] = np.minimum(mel, knee) * _LINEAR_HZ * above
    return hz
