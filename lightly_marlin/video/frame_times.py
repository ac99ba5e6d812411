"""Presentation times of frames, where the frame rate does not give them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["frame_seconds", "stamp_of"]


def stamp_of(frame: Any, stream: Any) -> float:
    """Returns the time stamp of a frame in seconds, NaN if it has none.

    Args:
        frame: A decoded frame of PyAV.
        stream: Its video stream.
    """
    # The unit of the last frames, which the decoder held back, is not with them.
    unit = frame.time_base or stream.time_base
    if frame.pts is None or unit is None:
        return math.nan
    return float(frame.pts * unit)


def frame_seconds(stamps: Sequence[float], fps: float) -> npt.NDArray[np.float64]:
    """Returns when each frame is shown, in seconds after the first one.

    Phones, browsers and conferences record at whatever rate the light and the network
    allow, and headers often name another. Time stamps tell, but may be missing or
    wrong, so they are used only where every frame has one, and none is before that of
    the frame that it follows (in AVI, the last two may have the same). Where they agree
    with the rate to within a frame, it is the rate that is exact: stamps are rounded,
    often to milliseconds.

    Args:
        stamps: Time stamps of all frames in seconds, NaN for one that is missing.
        fps: Frame rate of the header in frames per second, positive.

    Returns:
        float64 array with shape (n,).
    """
    by_rate = np.arange(len(stamps)) / fps
    times = np.asarray(stamps, dtype=np.float64)
    # False for NaN, too.
    if not np.all(np.diff(times) >= 0) or len(times) < 2 or times[-1] == times[0]:
        return by_rate
    since: npt.NDArray[np.float64] = times - times[0]
    if np.abs(since - by_rate).max() <= 1 / fps:
        return by_rate
    return since
