"""Windows of many videos as one stream, read by worker processes if wanted.

A crash of a decoder ends its process: in a worker it costs only the current video,
without workers it ends the program.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from lightly_marlin.features.options import ExtractionOptions
from lightly_marlin.features.video_windows import VideoInfo, video_windows
from lightly_marlin.features.windows import Window
from lightly_marlin.jobs.record import Status
from lightly_marlin.jobs.worker_pool import stream_jobs
from lightly_marlin.preparation.video_faces import NoFaceError
from lightly_marlin.video import VideoError

__all__ = ["StreamEvent", "VideoEnd", "stream_windows"]


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


@dataclass(frozen=True)
class _ReadVideo:
    """Function for workers: yields the windows of a video, then its end."""

    options: ExtractionOptions
    num_frames: int
    size: int

    def __call__(self, job: tuple[int, Path]) -> Iterator[Window | VideoEnd]:
        info = VideoInfo()
        windows = video_windows(
            job[1],
            self.options,
            num_frames=self.num_frames,
            size=self.size,
            info=info,
        )
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
    """Yields the windows of many videos.

    Args:
        paths: Video files.
        options: Options of the windows.
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
    read = _ReadVideo(options, num_frames, size)
    events = stream_jobs(read, enumerate(paths), min(num_workers, len(paths)))
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
