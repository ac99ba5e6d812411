"""Windows of videos as points: features, positions in the video, and pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image
from torch import Tensor

from lightly_marlin.features.batching import WindowEncoder
from lightly_marlin.features.options import ExtractionOptions
from lightly_marlin.features.video_stream import VideoEnd, stream_windows
from lightly_marlin.features.windows import Window
from lightly_marlin.models import MarlinEncoder
from lightly_marlin.utils.errors import UsageError

__all__ = ["VideoPoints", "WindowPoint", "encode_points"]

_PICTURE_SIDE = 64

_Key = tuple[int, int, int, Image.Image]


@dataclass(frozen=True)
class WindowPoint:
    """Window as a point.

    Attributes:
        feature: float32 tensor (D,).
        track: Index of its face track in the video; 0 for whole frames.
        start_frame: Index of the first frame in the video.
        num_frames: Number of frames without padding.
        picture: Small picture of the middle frame, RGB.
    """

    feature: Tensor
    track: int
    start_frame: int
    num_frames: int
    picture: Image.Image


@dataclass
class VideoPoints:
    """Windows of a video by track, then by time; none if it could not be used.

    Attributes:
        end: End of the reading, with the reason if there are no windows.
        points: Windows of the video.
        first_windows: First window of each track with its frames.
    """

    end: VideoEnd
    points: list[WindowPoint] = field(default_factory=list)
    first_windows: dict[int, Window] = field(default_factory=dict)


def encode_points(
    encoder: MarlinEncoder, paths: Sequence[Path], options: ExtractionOptions
) -> Iterator[VideoPoints]:
    """Encodes the windows of videos.

    Args:
        encoder: The encoder, on any device.
        paths: Video files.
        options: Options of the windows.

    Yields:
        The windows of each video, in the order of the paths.

    Raises:
        UsageError: A ValueError, if a feature is not finite.
    """
    windows: WindowEncoder[_Key] = WindowEncoder(encoder)
    config = encoder.config
    points: list[WindowPoint] = []
    first_windows: dict[int, Window] = {}
    for _, event in stream_windows(
        paths, options, num_frames=config.num_frames, size=config.img_size
    ):
        if isinstance(event, Window):
            first_windows.setdefault(event.track, event)
            place = (event.track, event.start_frame, event.num_frames)
            key = (*place, _picture(event))
            points += _to_points(windows.add(key, event.clip))
            continue
        points += _to_points(windows.flush())
        if event.status != "ok":
            # A video that fails late already has windows.
            points, first_windows = [], {}
        points.sort(key=lambda point: (point.track, point.start_frame))
        yield VideoPoints(event, points, first_windows)
        points, first_windows = [], {}


def _to_points(encoded: Iterable[tuple[_Key, Tensor]]) -> list[WindowPoint]:
    """Returns encoded windows as points."""
    points = []
    for (track, start, count, picture), feature in encoded:
        if not feature.isfinite().all():
            raise UsageError("The weights give features that are not finite.")
        points.append(WindowPoint(feature, track, start, count, picture))
    return points


def _picture(window: Window) -> Image.Image:
    """Returns a small picture of the middle frame without padding."""
    frame = Image.fromarray(window.clip[window.num_frames // 2])
    size = (_PICTURE_SIDE, _PICTURE_SIDE)
    return frame.resize(size, Image.Resampling.LANCZOS)
