"""The windows of many videos as one stream, read by worker processes if wanted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from lightly_marlin.data import VideoError
from lightly_marlin.features.options import ExtractionOptions
from lightly_marlin.features.video_windows import (
    NoFaceError,
    VideoInfo,
    video_windows,
)
from lightly_marlin.features.windows import Window

__all__ = ["StreamEvent", "VideoEnd", "stream_windows"]


@dataclass(frozen=True)
class VideoEnd:
    """Says that no more windows of a video come.

    Attributes:
        status: "ok", "no_face" or "failed".
        reason: Why there are none, or what the user should know.
        info: What became known of the video.
    """

    status: str
    reason: str | None
    info: VideoInfo


StreamEvent = tuple[int, Window | VideoEnd]
"""Index of a video, and a window of it or its end."""


class _Windows(IterableDataset[StreamEvent]):
    """Yields the windows of every video, then its end; a worker takes whole videos."""

    def __init__(
        self,
        paths: Sequence[Path],
        options: ExtractionOptions,
        num_frames: int,
        size: int,
    ) -> None:
        self.paths = paths
        self.options = options
        self.num_frames = num_frames
        self.size = size

    def __iter__(self) -> Iterator[StreamEvent]:
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for index in range(first, len(self.paths), step):
            info = VideoInfo()
            windows = video_windows(
                self.paths[index],
                self.options,
                num_frames=self.num_frames,
                size=self.size,
                info=info,
            )
            try:
                for window in windows:
                    yield index, window
            except NoFaceError as error:
                yield index, VideoEnd("no_face", error.reason, info)
            except VideoError as error:
                yield index, VideoEnd("failed", error.reason, info)
            else:
                yield index, VideoEnd("ok", info.note, info)


def stream_windows(
    paths: Sequence[Path],
    options: ExtractionOptions,
    *,
    num_frames: int,
    size: int,
    num_workers: int = 0,
) -> Iterator[StreamEvent]:
    """Yields the windows of many videos.

    Args:
        paths: Video files.
        options: How windows are cut.
        num_frames: Frames of a window.
        size: Height and width of a window in pixels.
        num_workers: Processes that read, find faces and crop; 0 for this one.

    Yields:
        Index of a video with a window of it, and after its last one with its end. The
        events of one video come in order; with workers, those of several mix.
    """
    windows = _Windows(paths, options, num_frames, size)
    if num_workers == 0:
        yield from windows
        return
    # Without a batch size, what a worker yields is passed on as it is.
    loader = DataLoader(windows, batch_size=None, num_workers=num_workers)
    yield from loader
