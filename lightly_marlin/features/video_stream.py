"""Windows of many videos as one stream, read by worker processes if wanted.

A crash of a decoder ends its process: in a worker it costs only the current video,
without workers it ends the program.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lightly_marlin.features.options import ExtractionOptions
from lightly_marlin.features.video_windows import VideoInfo, video_windows
from lightly_marlin.features.windows import Stretch, Window
from lightly_marlin.jobs.record import Status
from lightly_marlin.jobs.worker_pool import stream_jobs
from lightly_marlin.preparation.video_faces import NoFaceError
from lightly_marlin.video import VideoError

__all__ = [
    "StreamEvent",
    "VideoEnd",
    "WindowSource",
    "stream_sources",
    "stream_windows",
    "video_source",
]


@dataclass(frozen=True)
class VideoEnd:
    """End of a video's windows.

    Attributes:
        status: "ok", "no_face" or "failed".
        reason: Why there are none, or a note for the user.
        info: Facts that became known about the video.
    """

    status: Status
    reason: str | None
    info: VideoInfo


StreamEvent = tuple[int, Window | VideoEnd]
"""Index of a video, with one of its windows or its end."""


class WindowSource(Protocol):
    """Reader of the windows of one video, from a file or a store; picklable."""

    def windows(self, num_frames: int, size: int, info: VideoInfo) -> Iterator[Window]:
        """Yields the windows; those of one track in temporal order.

        Args:
            num_frames: Frames of a window.
            size: Height and width of a window in pixels.
            info: Filled in while the windows are read.

        Yields:
            Windows with clips (num_frames, size, size, 3).

        Raises:
            VideoError: If there are none, with the reason.
            NoFaceError: A VideoError, if that is because there is no face.
        """


@dataclass(frozen=True)
class _VideoWindows:
    """Windows of a video file; see `video_windows`."""

    path: Path
    options: ExtractionOptions
    stretches: tuple[Stretch, ...] = ()

    def windows(self, num_frames: int, size: int, info: VideoInfo) -> Iterator[Window]:
        yield from video_windows(
            self.path,
            self.options,
            num_frames=num_frames,
            size=size,
            info=info,
            stretches=self.stretches,
        )


def video_source(
    path: Path, options: ExtractionOptions, stretches: Sequence[Stretch] = ()
) -> WindowSource:
    """Returns the reader of the windows of a video file.

    Args:
        path: The file.
        options: Options of the windows.
        stretches: Stretches that get a window of their own where they need one.
    """
    return _VideoWindows(path, options, tuple(stretches))


@dataclass(frozen=True)
class _Read:
    """Function for workers: yields the windows of a source, then its end."""

    num_frames: int
    size: int

    def __call__(self, job: tuple[int, WindowSource]) -> Iterator[Window | VideoEnd]:
        info = VideoInfo()
        windows = job[1].windows(self.num_frames, self.size, info)
        try:
            yield from windows
        except NoFaceError as error:
            yield VideoEnd("no_face", error.reason, info)
        except VideoError as error:
            yield VideoEnd("failed", error.reason, info)
        else:
            yield VideoEnd("ok", info.note, info)


def stream_windows(
    paths: Sequence[Path],
    options: ExtractionOptions,
    *,
    num_frames: int,
    size: int,
    num_workers: int = 0,
) -> Generator[StreamEvent, None, None]:
    """Yields the windows of many video files; see `stream_sources`.

    Args:
        paths: Video files.
        options: Options of the windows.
        num_frames: Frames of a window.
        size: Height and width of a window in pixels.
        num_workers: Processes that read; 0 for this process.

    Returns:
        What `stream_sources` yields.
    """
    return stream_sources(
        [video_source(path, options) for path in paths],
        num_frames=num_frames,
        size=size,
        num_workers=num_workers,
    )


def stream_sources(
    sources: Sequence[WindowSource],
    *,
    num_frames: int,
    size: int,
    num_workers: int = 0,
) -> Generator[StreamEvent, None, None]:
    """Yields the windows of many sources.

    Args:
        sources: Readers of the windows of a video each.
        num_frames: Frames of a window.
        size: Height and width of a window in pixels.
        num_workers: Processes that read, find faces and crop, with one thread each; 0
            for this process, which a crash of a decoder then ends.

    Yields:
        Index of a video with a window of it, and after its last one with its end. The
        events of one video arrive in order; with workers, those of several interleave.
        Any error of a video, including the death of its worker, makes it "failed".

    Raises:
        RuntimeError: If not a single worker process can start.
    """
    read = _Read(num_frames, size)
    events = stream_jobs(read, enumerate(sources), min(num_workers, len(sources)))
    ends: dict[int, VideoEnd] = {}
    with closing(events):
        for (index, _), event in events:
            if isinstance(event, Window):
                yield index, event
            elif isinstance(event, VideoEnd):
                ends[index] = event
            elif event.failure is not None:
                yield index, VideoEnd("failed", event.failure.reason, VideoInfo())
            else:
                yield index, ends.pop(index)
