"""Reader of any video, as RGB frames or as planes of luma.

Videos come from anywhere, so nothing about them is trusted: the video stream is
selected by type (stream 0 may be audio or a cover picture), frame counts are never used
(they may be missing or wrong), time stamps determine neither the set of frames nor
their order, damaged packets are skipped while the rest is kept, and a header that
claims huge pictures is rejected before they exhaust the memory.

- [0]: PyAV, https://pyav.basswood-io.com
"""

from __future__ import annotations

import contextlib
import functools
from array import array
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.media import (
    MAX_PIXELS,
    MediaError,
    find_stream,
    open_media,
)
from lightly_marlin.video.display import Orientation, display_size, orientation_of
from lightly_marlin.video.frame_times import (
    MAX_FPS,
    frame_rate,
    frame_seconds,
    stamp_of,
)
from lightly_marlin.video.oddities import Oddities
from lightly_marlin.video.planes import first_plane, has_luma

__all__ = ["VideoError", "VideoReader", "iter_frames"]

_DEFAULT_FPS = 25.0
_MAX_PIXELS = MAX_PIXELS

_MAX_DELAY = 64
"""Packets that a decoder may hold before it gives the frame of the first, at most."""


class VideoError(MediaError):
    """Error for a video that cannot be used; names it and the reason."""


class VideoReader:
    """Decodes the main video stream of a file, frame by frame.

    Of several streams, it is the one that players show: the first one that is not a
    cover picture.

    Iterating yields uint8 arrays with shape (H, W, 3), RGB in [0, 255]; `planes` yields
    only luma, which most files store directly. Frames match what players show: rotated
    and mirrored by the display matrix, with square pixels, converted from any pixel
    format. A stream that changes its size yields frames of each size. Memory does not
    grow with the length, except for eight bytes per frame. A reader can be iterated
    once.

    Attributes:
        path: The video file.
        num_skipped: Number of damaged packets that were skipped so far.
        num_frames: Number of frames decoded so far.
    """

    def __init__(self, path: Path | str) -> None:
        """Opens the file.

        Args:
            path: A video file.

        Raises:
            VideoError: If it cannot be opened, or has no video stream.
        """
        self.path = Path(path)
        self.num_skipped = 0
        self.num_frames = 0
        self._stamps = array("d")
        self._av = require("av", "Reading videos")
        self._reformatter = self._av.video.reformatter.VideoReformatter()
        self._oddities = Oddities()
        self._coded: tuple[int, int, Fraction | None] | None = None
        # Of the frame at hand: its size in square pixels, and how it is laid down then.
        self._size = (0, 0)
        self._orientation = Orientation()
        self._ratios: dict[int | None, Fraction | None] = {}  # By time stamp.
        self._resources = contextlib.ExitStack()
        self._container = open_media(
            self.path, self._resources, "video", VideoError, _MAX_PIXELS
        )
        try:
            self._stream = self._find_stream()
        except VideoError:
            self.close()
            raise
        self._header_fps = _header_rate(self._stream)
        # A container's own ratio holds throughout; that of the codec may change.
        self._ratio = self._stream.sample_aspect_ratio
        codec_ratio = self._stream.codec_context.sample_aspect_ratio
        self._ratio_is_fixed = bool(self._ratio) and self._ratio != codec_ratio

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[npt.NDArray[np.uint8]]:
        return self.frames()

    @property
    def fps(self) -> float:
        """Average frame rate in frames per second.

        The header's rate, unless the time stamps of the frames so far contradict it
        (see `frame_rate`); 25 without either.
        """
        return frame_rate(self._stamps, self._header_fps)

    @property
    def notes(self) -> list[str]:
        """Readable notes on oddities of the frames so far."""
        return self._oddities.notes(self.num_skipped)

    @property
    def seconds(self) -> npt.NDArray[np.float64]:
        """Presentation times of frames so far, float64 (n,); see `frame_seconds`."""
        return frame_seconds(self._stamps, self._header_fps)

    def close(self) -> None:
        """Closes the file."""
        self._resources.close()

    def frames(
        self, start: int = 0, stop: int | None = None
    ) -> Iterator[npt.NDArray[np.uint8]]:
        """Yields the frames [start, stop).

        Every frame up to `stop` is decoded, but only those that are yielded are
        converted to RGB, which costs more than decoding.

        Args:
            start: Index of the first frame to yield.
            stop: Index after the last frame to yield; None for all.

        Yields:
            uint8 arrays with shape (H, W, 3).

        Raises:
            VideoError: If not a single frame of the video can be decoded.
        """
        for convert in self.lazy_frames(start, stop):
            yield convert()

    def lazy_frames(
        self, start: int = 0, stop: int | None = None
    ) -> Iterator[Callable[[], npt.NDArray[np.uint8]]]:
        """Yields the frames [start, stop) as functions that convert them to RGB.

        For callers that need only some of them; otherwise like `frames`. Call a
        function before taking the next one.
        """
        for index, frame in self._pictures(stop):
            if index >= start:
                yield functools.partial(self._to_rgb, frame)

    def planes(self) -> Iterator[npt.NDArray[np.uint8]]:
        """Yields the luma of all frames.

        Yields:
            uint8 arrays with shape (H, W), contiguous, in the range of the source:
            video mostly has black at 16 and white at 235.

        Raises:
            VideoError: If not a single frame of the video can be decoded.
        """
        for _, frame in self._pictures(None):
            yield self._to_luma(frame)

    def _pictures(self, stop: int | None) -> Iterator[tuple[int, Any]]:
        """Yields decoded frames with their indices; records their number and size."""
        for frame in self._decode():
            index = self.num_frames
            if stop is not None and index >= stop:
                return
            self.num_frames += 1
            self._stamps.append(stamp_of(frame, self._stream))
            self._look_at(frame)
            yield index, frame
        if self.num_frames == 0:
            damaged = f" ({self.num_skipped} damaged packets)"
            raise VideoError(
                self.path,
                "no frame can be decoded" + (damaged if self.num_skipped else ""),
            )

    def _look_at(self, frame: Any) -> None:
        """Learns how a frame is to be shown, and notes what is odd about it."""
        ratio = self._ratios.pop(frame.pts, self._ratio)
        coded = (frame.width, frame.height, ratio)
        if coded != self._coded:
            self._coded = coded
            self._size = display_size(*coded, _MAX_PIXELS)
        matrix = frame.side_data.get("DISPLAYMATRIX")
        self._orientation = orientation_of(None if matrix is None else bytes(matrix))
        shown = self._size[::-1] if self._orientation.transposed else self._size
        self._oddities.look_at(shown, int(frame.color_trc))

    def _find_stream(self) -> Any:
        """Returns the video stream to show, ready to decode."""
        stream = find_stream(self._container, "video", self.path, VideoError)
        width, height = stream.codec_context.width, stream.codec_context.height
        if width * height > _MAX_PIXELS:
            raise VideoError(
                self.path,
                f"its frames of {width}x{height} pixels are larger than the "
                f"{_MAX_PIXELS // 10**6} megapixels that are decoded",
            )
        # A later header may claim a larger size than the first one.
        stream.codec_context.options = {"max_pixels": str(_MAX_PIXELS)}
        # One thread, so that two passes over a damaged file see the same frames.
        stream.thread_type = "NONE"
        stream.thread_count = 1
        return stream

    def _decode(self) -> Iterator[Any]:
        """Yields decoded frames, skipping damaged packets."""
        errors = (self._av.FFmpegError, OSError, ValueError)
        packets = iter(self._container.demux(self._stream))
        while True:
            try:
                packet = next(packets, None)
            except errors:
                # The container cannot be read further; the decoder may still hold
                # frames.
                self.num_skipped += 1
                packet = None
            if packet is not None and packet.size == 0:
                # In the middle of a file, it would signal the end of the stream to the
                # decoder.
                continue
            frames: list[Any] = []
            try:
                frames = self._stream.decode(packet)
            except errors:
                self.num_skipped += 1
            if packet is not None:
                self._remember_ratio(packet)
            yield from frames
            if packet is None:
                return

    def _remember_ratio(self, packet: Any) -> None:
        """Keeps the codec's ratio for the frame of a packet, which may come later."""
        if self._ratio_is_fixed:
            return
        self._ratio = self._stream.codec_context.sample_aspect_ratio
        self._ratios[packet.pts] = self._ratio
        if len(self._ratios) > _MAX_DELAY:
            del self._ratios[next(iter(self._ratios))]

    def _to_rgb(self, frame: Any) -> npt.NDArray[np.uint8]:
        width, height = self._size
        rgb = self._reformatter.reformat(
            frame, width=width, height=height, format="rgb24", threads=1
        )
        return self._orientation.apply(first_plane(rgb, 3))

    def _to_luma(self, frame: Any) -> npt.NDArray[np.uint8]:
        width, height = self._size
        if (frame.width, frame.height) == self._size and has_luma(frame.format):
            return self._orientation.apply(first_plane(frame, 1))
        grey = self._reformatter.reformat(
            frame, width=width, height=height, format="gray", threads=1
        )
        return self._orientation.apply(first_plane(grey, 1))


def _header_rate(stream: Any) -> float:
    """Returns a usable frame rate for any header."""
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate and 0 < rate <= MAX_FPS:
            return float(rate)
    return _DEFAULT_FPS


def iter_frames(path: Path | str) -> Iterator[npt.NDArray[np.uint8]]:
    """Yields the frames of a video.

    Args:
        path: A video file.

    Yields:
        uint8 arrays with shape (H, W, 3), RGB in [0, 255].

    Raises:
        VideoError: If the file cannot be used, with the reason.
    """
    with VideoReader(path) as reader:
        yield from reader
