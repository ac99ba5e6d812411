"""Windows of their own for stretches that are shorter than a window.

A labelled stretch of a video owns the windows whose middle lies in it. Where there is
none, it gets one of its own: the frames around its middle, cut to the stretch; the last
frame is repeated if there are fewer than a window takes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from lightly_marlin.features.windows import Stretch, Window, WindowPlace, pad_clip
from lightly_marlin.utils.errors import UsageError

__all__ = [
    "StretchCutter",
    "frames_in",
    "in_stretch",
    "plan_stretches",
    "read_segments",
]

_Frame = npt.NDArray[np.uint8]

# Seconds in files are rounded: a frame that begins a hair too early still counts.
_TOLERANCE = 5e-5  # Seconds.


def in_stretch(second: float, stretch: Stretch) -> bool:
    """Returns whether a time lies in a stretch: at its start or later, before its end.

    Args:
        second: Seconds after the video's first frame.
        stretch: The stretch.
    """
    start, end = stretch
    return (start is None or second >= start) and (end is None or second < end)


def frames_in(stretch: Stretch, seconds: npt.NDArray[np.float64]) -> tuple[int, int]:
    """Returns the frames that begin in a stretch; if none does, the one on the screen.

    The last frame is on the screen for as long as the one before.

    Args:
        stretch: The stretch.
        seconds: Display times of the frames of the video, float64 (n,), ascending.

    Returns:
        Index of the first frame, and of the one after the last; equal if the stretch
        is outside the video.
    """
    start, end = stretch
    first, stop = (
        default
        if second is None
        else int(np.searchsorted(seconds, second - _TOLERANCE))
        for second, default in zip(stretch, (0, len(seconds)), strict=True)
    )
    if first < stop or first == 0 or start is None or end is None:
        return first, max(first, stop)
    if first == len(seconds):
        length = float(seconds[-1] - seconds[-2]) if len(seconds) > 1 else 0.0
        if end > float(seconds[-1]) + length + _TOLERANCE:
            return first, first
    return first - 1, first


def read_segments(
    segments: Mapping[str, Sequence[Stretch]] | None, sources: Iterable[str]
) -> dict[str, tuple[Stretch, ...]]:
    """Checks the stretches of videos, and brings them into one form.

    Args:
        segments: Stretches by source.
        sources: The videos that there are.

    Returns:
        The stretches by source, sorted, each once; only of videos that have some.

    Raises:
        UsageError: A ValueError, if a stretch is not finite or ends before it starts,
            or there is no such video; the message names it.
    """
    known = set(sources) if segments else set()
    found = {}
    for source, stretches in (segments or {}).items():
        if source not in known:
            raise UsageError(f"Invalid segments: there is no video {source!r}.")
        for start, end in stretches:
            low, high = start or 0.0, math.inf if end is None else end
            finite = math.isfinite(low) and (end is None or math.isfinite(end))
            if not finite or high <= max(0.0, low):
                raise UsageError(
                    f"Invalid segment ({start}, {end}) of {source!r}. Both are "
                    "seconds or None, and it must end after its start and after 0."
                )
        if stretches:
            found[source] = tuple(sorted(set(map(_plain, stretches)), key=_order))
    return found


def _plain(stretch: Stretch) -> Stretch:
    """Returns a stretch of plain floats: those of NumPy are no JSON."""
    start, end = (None if value is None else float(value) for value in stretch)
    return start, end


def _order(stretch: Stretch) -> tuple[float, float]:
    start, end = stretch
    return (
        -math.inf if start is None else start,
        math.inf if end is None else end,
    )


def plan_stretches(
    stretches: Sequence[Stretch],
    regular: Sequence[WindowPlace],
    seconds: npt.NDArray[np.float64],
    *,
    first_frame: int,
    length: int,
    num_frames: int,
    sample_rate: int,
    track: int = 0,
) -> list[WindowPlace]:
    """Plans the windows of stretches of a track that hold no regular window's middle.

    Args:
        stretches: The stretches.
        regular: Places of the regular windows of the track.
        seconds: Display times of the frames of the video, float64 (n,), ascending.
        first_frame: Index of the track's first frame in the video.
        length: Number of frames of the track.
        num_frames: Frames of a window, T.
        sample_rate: Interval between the frames of a window, in frames of the video.
        track: Index of the face track.

    Returns:
        Places of windows of up to T frames, at most one per stretch; none for a stretch
        without a frame of the track.
    """
    middles = np.sort([place.middle(seconds) for place in regular])
    places = []
    for stretch in stretches:
        begin, end = frames_in(stretch, seconds)
        start, stop = max(begin, first_frame), min(end, first_frame + length)
        low, high = (
            default if second is None else int(np.searchsorted(middles, second))
            for second, default in zip(stretch, (0, len(middles)), strict=True)
        )
        if high > low or stop <= start:
            continue
        count = min(num_frames, -(-(stop - start) // sample_rate))
        span = (count - 1) * sample_rate + 1
        first = start + (stop - start - span) // 2
        places.append(WindowPlace(track, first, count, first + span - 1, stretch))
    return places


class StretchCutter:
    """Cuts planned windows of a track from frames that arrive one by one.

    Memory: the frames of the windows that have begun and not ended.

    Args:
        places: Places of the windows.
        num_frames: Frames of a window, T.
        sample_rate: Interval between the frames of a window, in frames of the video.
        first_frame: Index in the video of the first frame that will arrive.
    """

    def __init__(
        self,
        places: Sequence[WindowPlace],
        num_frames: int,
        sample_rate: int,
        *,
        first_frame: int = 0,
    ) -> None:
        self._num_frames = num_frames
        self._rate = sample_rate
        self._next = first_frame
        # The last one begins first, so that the next one is at the end.
        self._waiting = sorted(places, key=lambda place: place.start_frame)[::-1]
        self._begun: list[tuple[WindowPlace, list[_Frame]]] = []
        self._needed = {
            frame
            for place in places
            for frame in range(place.start_frame, place.last_frame + 1, sample_rate)
        }

    def needs(self, frame: int) -> bool:
        """Returns whether a frame goes into a window.

        Args:
            frame: Index of the frame in the video.
        """
        return frame in self._needed

    def add(self, frame: _Frame | None) -> Iterator[Window]:
        """Adds the next frame; yields the windows that it completes.

        Args:
            frame: uint8 array with shape (H, W, 3); may be None if not needed.

        Yields:
            Windows.
        """
        index = self._next
        self._next += 1
        if index not in self._needed:
            return
        assert frame is not None
        while self._waiting and self._waiting[-1].start_frame == index:
            self._begun.append((self._waiting.pop(), []))
        for place, frames in self._begun:
            if (index - place.start_frame) % self._rate == 0:
                frames.append(frame)
            if index == place.last_frame:
                yield Window(
                    place.start_frame,
                    place.num_frames,
                    pad_clip(frames, self._num_frames),
                    place.track,
                    self._rate,
                    place.stretch,
                )
        self._begun = [one for one in self._begun if one[0].last_frame > index]
