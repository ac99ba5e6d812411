"""Frames of a video at 25 per second."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

__all__ = ["FPS", "frames_at_25", "frames_shown"]

FPS = 25
"""Frames per second that lip-sync networks are trained on."""

_ROUNDING = 1e-6


def frames_at_25(num_frames: int, fps: float) -> npt.NDArray[np.int64]:
    """Returns which frame of a video is shown at each 25th of a second.

    The rule is that of FFmpeg's filter `fps`, which evaluations convert videos with:
    frames are moved to the nearest 25th of a second, half way to the later one. Of
    several at one time, the last stays, and gaps repeat the frame before.

    - [0]: https://ffmpeg.org/ffmpeg-filters.html#fps

    Args:
        num_frames: Number of frames, at least 0.
        fps: Their number per second.

    Returns:
        int64 array with shape (round(num_frames * 25 / fps),): indices, ascending.

    Raises:
        ValueError: If fps is not positive and finite.
    """
    if not (math.isfinite(fps) and fps > 0):
        raise ValueError(
            f"Invalid fps ({fps}). It must be the number of frames per second."
        )
    count = math.floor(num_frames * FPS / fps + 0.5)
    # The last frame i with i * 25 / fps < n + 1/2.
    indices = np.ceil((np.arange(count) + 0.5) * fps / FPS).astype(np.int64) - 1
    return np.clip(indices, 0, num_frames - 1)


def frames_shown(
    seconds: npt.NDArray[np.floating], count: int
) -> npt.NDArray[np.int64]:
    """Returns which frame of a video is shown at each 25th of a second.

    The rule is that of `frames_at_25`, by the times of the frames in place of a rate.

    Args:
        seconds: Floating-point array (n,), n > 0: time of each frame after the first.
        count: Number of 25ths of a second; the last frame stays.

    Returns:
        int64 array with shape (count,): indices, ascending.
    """
    # Half-way times count as such despite rounding.
    moved = np.floor(np.maximum.accumulate(seconds) * FPS + 0.5 + _ROUNDING)
    found = np.searchsorted(moved, np.arange(count), side="right") - 1
    return np.maximum(found, 0).astype(np.int64)
