"""Presentation times of frames, including variable frame rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["MAX_FPS", "frame_rate", "frame_seconds", "stamp_of"]

MAX_FPS = 1000.0
"""Highest plausible frame rate; higher values are time bases, not rates of cameras."""

_MAX_CERTAIN_FPS = 240.0
"""Frame rates above are rarely a camera's, but often a time base."""


def stamp_of(frame: Any, stream: Any) -> float:
    """Returns the time stamp of a frame in seconds, NaN if it has none.

    Args:
        frame: A decoded frame of PyAV.
        stream: Its video stream.
    """
    # The last frames, which the decoder held back, lack their time base.
    unit = frame.time_base or stream.time_base
    if frame.pts is None or unit is None:
        return math.nan
    return float(frame.pts * unit)


def frame_rate(stamps: Sequence[float], fps: float) -> float:
    """Returns the average frame rate, in frames per second.

    Headers of browser recordings often hold the time base (1000 per second) instead of
    a rate, and those of phones the requested rate. If time stamps contradict the
    header, the rate is the number of frames over the span of the stamps.

    Args:
        stamps: Time stamps of the frames in seconds, NaN for missing ones.
        fps: Frame rate of the header in frames per second, positive.
    """
    since = _usable(stamps)
    if since is None:
        return _likely_rate(stamps, fps)
    if _agrees(since, fps):
        return fps
    return min((len(since) - 1) / float(since[-1]), MAX_FPS)


def frame_seconds(stamps: Sequence[float], fps: float) -> npt.NDArray[np.float64]:
    """Returns the display time of each frame, in seconds after the first one.

    Phones, browsers and video conferences record at whatever rate light and network
    allow, and headers often state another. Time stamps give the actual times, but may
    be missing or wrong, so they are used only if every frame has one and none is
    earlier than that of the previous frame (in AVI, the last two may be equal). If they
    agree with the rate to within a frame, the rate is exact: stamps are rounded, often
    to milliseconds.

    Args:
        stamps: Time stamps of all frames in seconds, NaN for missing ones.
        fps: Frame rate of the header in frames per second, positive.

    Returns:
        float64 array with shape (n,).
    """
    since = _usable(stamps)
    if since is None:
        return np.arange(len(stamps)) / _likely_rate(stamps, fps)
    return np.arange(len(stamps)) / fps if _agrees(since, fps) else since


def _usable(stamps: Sequence[float]) -> npt.NDArray[np.float64] | None:
    """Returns stamps relative to the first; None if one is missing or goes back."""
    times = np.asarray(stamps, dtype=np.float64)
    # False for NaN too.
    if not np.all(np.diff(times) >= 0) or len(times) < 2 or times[-1] == times[0]:
        return None
    since: npt.NDArray[np.float64] = times - times[0]
    return since


def _agrees(since: npt.NDArray[np.float64], fps: float) -> bool:
    """Returns whether times are those of a rate, to within a frame."""
    return bool(np.abs(since - np.arange(len(since)) / fps).max() <= 1 / fps)


def _likely_rate(stamps: Sequence[float], fps: float) -> float:
    """Returns the rate to go by where some stamps are wrong.

    That of the header, unless it may be a time base and other stamps tell a rate.
    """
    steps = np.diff(np.asarray(stamps, dtype=np.float64))
    steps = steps[steps > 0]
    if fps <= _MAX_CERTAIN_FPS or len(steps) == 0:
        return fps
    return min(1 / float(np.median(steps)), MAX_FPS)
