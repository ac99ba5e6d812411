"""Cutter of the frames of a track, or of a whole video, into all its windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lightly_marlin.features.options import ExtractionOptions
from lightly_marlin.features.stretches import StretchCutter, plan_stretches
from lightly_marlin.features.windows import (
    Stretch,
    Window,
    WindowCutter,
    window_places,
)

__all__ = ["TrackCutter"]


class TrackCutter:
    """Cuts regular windows, and those of stretches that need one of their own.

    Args:
        options: Options of the windows.
        num_frames: Frames of a window, T.
        first_frame: Index in the video of the track's first frame.
        track: Index of the track.
        length: Number of frames of the track; used with stretches.
        stretches: Stretches of the video.
        seconds: Display times of the frames of the video, float64 (n,); used with
            stretches.
    """

    def __init__(
        self,
        options: ExtractionOptions,
        num_frames: int,
        *,
        first_frame: int = 0,
        track: int = 0,
        length: int = 0,
        stretches: Sequence[Stretch] = (),
        seconds: npt.NDArray[np.float64] | None = None,
    ) -> None:
        self._first = first_frame
        self._seen = 0
        windows: dict[str, Any] = {
            "sample_rate": options.sample_rate,
            "stride": options.stride,
            "reference": options.reference_windows,
            "first_frame": first_frame,
            "track": track,
        }
        self._regular = WindowCutter(num_frames, **windows)
        self._own: StretchCutter | None = None
        if not stretches:
            return
        assert seconds is not None
        regular = window_places(length, num_frames, **windows)
        places = plan_stretches(
            stretches,
            regular,
            seconds,
            first_frame=first_frame,
            length=length,
            num_frames=num_frames,
            sample_rate=options.sample_rate,
            track=track,
        )
        self._own = StretchCutter(
            places, num_frames, options.sample_rate, first_frame=first_frame
        )

    @property
    def needs_next(self) -> bool:
        """True if the next frame may go into a window; others are only counted."""
        return self.needs(self._seen)

    def needs(self, index: int) -> bool:
        """Returns whether a frame may go into a window.

        Args:
            index: Index of the frame; 0 is the first one that arrives.
        """
        own = self._own is not None and self._own.needs(self._first + index)
        return own or self._regular.needs(index)

    def add(self, frame: npt.NDArray[np.uint8] | None) -> Iterator[Window]:
        """Adds the next frame; yields the windows that it completes.

        Args:
            frame: uint8 array with shape (H, W, 3); may be None if it is not needed.

        Yields:
            Windows.
        """
        self._seen += 1
        yield from self._regular.add(frame)
        if self._own is not None:
            yield from self._own.add(frame)

    def finish(self) -> Iterator[Window]:
        """Ends the track; yields the windows that are only complete at its end."""
        yield from self._regular.finish()
