"""Second pass over a video, which crops the tracks found in the first.

A video is read twice because the smooth path of a crop box depends on later frames;
keeping the frames instead would make memory grow with the length of the video.
Preparation, features and pictures all crop here, so a model sees the same kind of crops
as in training.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lightly_marlin.jobs.worker_pool import report_progress
from lightly_marlin.video.reader import VideoError, VideoReader

if TYPE_CHECKING:
    from lightly_marlin.faces import FaceTrack

__all__ = ["TrackCrop", "crop_tracks"]


@dataclass(frozen=True)
class TrackCrop:
    """One frame of a track.

    Attributes:
        track: Index of the track.
        row: Index of the frame in the track.
        crop: uint8 array with shape (size, size, 3), RGB; None if not needed.
        is_last: Whether the track ends here.
    """

    track: int
    row: int
    crop: npt.NDArray[np.uint8] | None
    is_last: bool


def crop_tracks(
    path: Path | str,
    tracks: Sequence[FaceTrack],
    size: int,
    *,
    needed: Callable[[int, int], bool] | None = None,
) -> Generator[TrackCrop, None, None]:
    """Reads a video and crops tracks frame by frame.

    A frame is converted to RGB at most once, and only for a crop that is needed:
    conversion costs more than decoding.

    Args:
        path: The video file in which the tracks were found.
        tracks: At least one track.
        size: Height and width of the crops in pixels.
        needed: Predicate of the crops that are needed: takes the index of a track and
            of a frame in it. None for all.

    Yields:
        Every row of every track, in the order of the frames.

    Raises:
        VideoError: If the video cannot be read, or ends before the tracks do.
    """
    from lightly_marlin.faces import crop_face

    waiting = sorted(enumerate(tracks), key=lambda item: item[1].start_frame)[::-1]
    active: list[tuple[int, FaceTrack]] = []
    first = min(track.start_frame for track in tracks)
    stop = max(track.end_frame for track in tracks)
    with VideoReader(path) as reader:
        for index, convert in enumerate(reader.lazy_frames(first, stop), start=first):
            report_progress()
            while waiting and waiting[-1][1].start_frame == index:
                active.append(waiting.pop())
            frame = None
            for number, track in active:
                row, crop = index - track.start_frame, None
                if needed is None or needed(number, row):
                    frame = convert() if frame is None else frame
                    angle = float(track.angles[row])
                    crop = crop_face(frame, track.boxes[row], size, angle)
                yield TrackCrop(number, row, crop, index + 1 == track.end_frame)
                # Processing a crop may take long.
                report_progress()
            active = [item for item in active if item[1].end_frame > index + 1]
    if waiting or active:
        raise VideoError(path, "it changed while it was read")
