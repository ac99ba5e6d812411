"""Cutter of a stream of frames into the windows that an encoder takes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "Stretch",
    "Window",
    "WindowCutter",
    "WindowPlace",
    "pad_clip",
    "window_places",
]

_Frame = npt.NDArray[np.uint8]

Stretch = tuple[float | None, float | None]
"""First second of a stretch of a video, and the second before which it ends; None for
the beginning or the end of the video."""


class WindowPlace(NamedTuple):
    """Place of a window in a video.

    Attributes:
        track: Index of the face track in the video; 0 for whole frames.
        start_frame: Index of the first frame in the video.
        num_frames: Number of frames from the video.
        last_frame: Index of the last of these frames in the video.
        stretch: Stretch that the window was cut for; None for a regular window.
    """

    track: int
    start_frame: int
    num_frames: int
    last_frame: int
    stretch: Stretch | None = None

    def middle(self, seconds: npt.NDArray[np.float64]) -> float:
        """Returns the time midway between the first and the last frame.

        Args:
            seconds: Display times of the frames of the video, float64 (n,).

        Returns:
            Seconds after the video's first frame.
        """
        return float(seconds[self.start_frame] + seconds[self.last_frame]) / 2


@dataclass(frozen=True)
class Window:
    """A clip for the encoder.

    Attributes:
        start_frame: Index of the first frame in the video.
        num_frames: Number of frames from the video; the others repeat the last one.
        clip: uint8 array with shape (T, H, W, 3), RGB.
        track: Index of the face track in the video; 0 for whole frames.
        step: Interval between the frames, in frames of the video.
        stretch: Stretch that the window was cut for; None for a regular window.
    """

    start_frame: int
    num_frames: int
    clip: _Frame
    track: int = 0
    step: int = 1
    stretch: Stretch | None = None

    @property
    def place(self) -> WindowPlace:
        """The place of the window in the video."""
        last = self.start_frame + (self.num_frames - 1) * self.step
        return WindowPlace(
            self.track, self.start_frame, self.num_frames, last, self.stretch
        )


class WindowCutter:
    """Cuts windows of T frames from frames that arrive one by one.

    The video is sampled at every `sample_rate`-th frame, and a window starts at every
    `stride`-th of the sampled frames as long as it is full. No tail is lost: if the
    last one ends before the last sampled frame, one more window ends there and overlaps
    the one before. Only a video with fewer than T sampled frames is padded: its last
    frame is repeated. So n frames give 1 + ceil(max(0, ceil(n / sample_rate) - T) /
    stride) windows.

    With `reference`, the windows are those of marlin-pytorch 0.3.4: they start at every
    (stride * sample_rate)-th frame below n - T * sample_rate, and the rest is dropped.
    For a video of at most T * sample_rate frames, the first T frames are taken at full
    rate; if there are fewer, the last one is repeated.

    Memory: the last T sampled frames, and with `reference` also the first T frames.
    """

    def __init__(
        self,
        num_frames: int = 16,
        *,
        sample_rate: int = 2,
        stride: int = 16,
        reference: bool = False,
        first_frame: int = 0,
        track: int = 0,
    ) -> None:
        """Starts a video or track.

        Args:
            num_frames: Frames of a window, T.
            sample_rate: Interval between sampled frames, in frames of the video.
            stride: Distance between the starts of windows, in sampled frames.
            reference: Cut as marlin-pytorch 0.3.4 does.
            first_frame: Index in the video of the first frame that will arrive.
            track: Index of the face track, for `Window.track`.
        """
        self._size = num_frames
        self._rate = sample_rate
        self._stride = stride
        self._reference = reference
        self._first = first_frame
        self._track = track
        self._seen = 0
        self._sampled = 0
        self._recent: deque[_Frame] = deque(maxlen=num_frames)
        self._beginning: list[_Frame] = []
        self._waiting: deque[Window] = deque()
        self._covered = 0  # Sampled frames up to the end of the last window.

    @property
    def needs_next(self) -> bool:
        """True if the next frame may go into a window; others are only counted."""
        return self.needs(self._seen)

    def needs(self, index: int) -> bool:
        """Returns whether a frame may go into a window.

        Args:
            index: Index of the frame; 0 is the first one that arrives.
        """
        at_start = self._reference and index < self._size
        return at_start or index % self._rate == 0

    def add(self, frame: _Frame | None) -> Iterator[Window]:
        """Adds the next frame; yields the windows that it completes.

        Args:
            frame: uint8 array with shape (H, W, 3); may be None if `needs_next` is
                False.

        Yields:
            Windows.
        """
        index = self._seen
        self._seen += 1
        span = self._size * self._rate
        if self._reference:
            if index < self._size:
                assert frame is not None
                self._beginning.append(frame)
            # A full window counts only if the video continues after it.
            if self._waiting and self._waiting[0].start_frame - self._first <= (
                index - span
            ):
                yield self._waiting.popleft()
        if index % self._rate:
            return
        assert frame is not None
        self._recent.append(frame)
        self._sampled += 1
        start = self._sampled - self._size
        if start < 0 or start % self._stride:
            return
        self._covered = self._sampled
        window = self._window(start * self._rate, list(self._recent))
        if self._reference:
            self._waiting.append(window)
        else:
            yield window

    def finish(self) -> Iterator[Window]:
        """Ends the video; yields the windows that are only complete at its end."""
        if self._reference:
            if 0 < self._seen <= self._size * self._rate:
                yield self._window(0, self._beginning, step=1)
        elif self._sampled > self._covered:
            start = max(0, self._sampled - self._size)
            yield self._window(start * self._rate, list(self._recent))

    def _window(
        self, start: int, frames: list[_Frame], step: int | None = None
    ) -> Window:
        return Window(
            self._first + start,
            len(frames),
            pad_clip(frames, self._size),
            self._track,
            self._rate if step is None else step,
        )


def pad_clip(frames: list[_Frame], num_frames: int) -> _Frame:
    """Returns frames as a clip (T, H, W, 3); the last one is repeated.

    Args:
        frames: 1 to T uint8 arrays with shape (H, W, 3).
        num_frames: Length T of the clip.
    """
    return np.stack(frames + [frames[-1]] * (num_frames - len(frames)))


def window_places(
    length: int,
    num_frames: int,
    *,
    sample_rate: int,
    stride: int,
    reference: bool = False,
    first_frame: int = 0,
    track: int = 0,
) -> list[WindowPlace]:
    """Returns the places of the windows that a `WindowCutter` cuts, without frames.

    Args:
        length: Number of frames of the video or track.
        num_frames: Frames of a window, T.
        sample_rate: Interval between sampled frames, in frames of the video.
        stride: Distance between the starts of windows, in sampled frames.
        reference: Cut as marlin-pytorch 0.3.4 does.
        first_frame: Index of the first frame in the video.
        track: Index of the face track.
    """
    span = num_frames * sample_rate
    step = sample_rate
    if reference and length <= span:
        starts, count, step = [0][:length], min(length, num_frames), 1
    elif reference:
        starts, count = list(range(0, length - span, stride * sample_rate)), num_frames
    else:
        sampled = -(-length // sample_rate)
        count = min(sampled, num_frames)
        last = max(0, sampled - num_frames)
        starts = [start * sample_rate for start in range(0, last + 1, stride)]
        # One more window ends with the video.
        if starts[-1] + (count - 1) * sample_rate < (sampled - 1) * sample_rate:
            starts.append(last * sample_rate)
        starts = starts[:length]
    return [
        WindowPlace(
            track,
            first_frame + start,
            count,
            first_frame + start + (count - 1) * step,
        )
        for start in starts
    ]
