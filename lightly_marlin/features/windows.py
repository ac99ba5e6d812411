"""Cutter of a stream of frames into the windows that an encoder takes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Window", "WindowCutter"]

_Frame = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Window:
    """A clip for the encoder.

    Attributes:
        start_frame: Index of the first frame in the video.
        num_frames: Number of frames from the video; the others repeat the last one.
        clip: uint8 array with shape (T, H, W, 3), RGB.
        track: Index of the face track in the video; 0 for whole frames.
    """

    start_frame: int
    num_frames: int
    clip: _Frame
    track: int = 0


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
                yield self._window(0, self._beginning)
        elif self._sampled > self._covered:
            start = max(0, self._sampled - self._size)
            yield self._window(start * self._rate, list(self._recent))

    def _window(self, start: int, frames: list[_Frame]) -> Window:
        padding = [frames[-1]] * (self._size - len(frames))
        return Window(
            self._first + start, len(frames), np.stack(frames + padding), self._track
        )
