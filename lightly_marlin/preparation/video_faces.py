"""Faces of a video file, found in one way for preparation, features and pictures.

A shared search ensures that a model sees the same crops in training and in use.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lightly_marlin.jobs.worker_pool import report_progress
from lightly_marlin.store.crop_options import CropOptions
from lightly_marlin.video.reader import VideoError, VideoReader

if TYPE_CHECKING:
    from lightly_marlin.faces import FaceTrack

__all__ = ["NoFaceError", "VideoFaces", "find_video_faces"]


class NoFaceError(VideoError):
    """Error for a readable video without any face."""


@dataclass(frozen=True)
class VideoFaces:
    """Faces of a video, with other findings of the pass over it.

    Attributes:
        path: The video file.
        min_frames: Shorter tracks were left out.
        tracks: The face tracks, sorted by start, then by size, large faces first.
        longest: Longest run of frames with one face, also if too short for a track.
        longest_untrusted: Longest run of frames with a face that was given up because
            its landmarks were not trusted.
        num_frames: Frames that were decoded.
        notes: Readable notes on oddities of the file; see `VideoReader.notes`.
        size: Width and height of the last frame in pixels.
        fps: Average frame rate in frames per second.
        seconds: Display time of each frame after the first one, float64 (num_frames,).
    """

    path: Path | str
    min_frames: int
    tracks: list[FaceTrack]
    longest: int
    longest_untrusted: int
    num_frames: int
    notes: tuple[str, ...]
    size: tuple[int, int]
    fps: float
    seconds: npt.NDArray[np.float64]

    @property
    def note(self) -> str | None:
        """Notes as one sentence without a full stop; None if there are none."""
        return "; ".join(self.notes) or None

    def frame_size(self, track: FaceTrack) -> tuple[int, int]:
        """Returns width and height in pixels of the frames of a track."""
        if track.frame_size is None:
            return self.size
        height, width = track.frame_size
        return width, height

    def select(self, *, all_faces: bool = False) -> list[FaceTrack]:
        """Returns the tracks to crop.

        Args:
            all_faces: Take every track instead of only the largest and longest.

        Returns:
            At least one track.

        Raises:
            NoFaceError: If there is no face, or none whose landmarks were trusted.
            VideoError: If every track is too short.
        """
        from lightly_marlin.faces import main_track

        if self.tracks:
            return self.tracks if all_faces else [main_track(self.tracks)]
        suffix = f" ({self.note})" if self.note else ""
        if self.longest_untrusted > self.longest:
            text = (
                f"a face was seen for {self.longest_untrusted} frames, but its "
                f"landmarks were not trusted{suffix}"
            )
            raise NoFaceError(self.path, text)
        if self.longest == 0:
            text = f"no face was found in its {self.num_frames} frames{suffix}"
            raise NoFaceError(self.path, text)
        raise VideoError(
            self.path,
            f"the longest face track has {self.longest} frames; {self.min_frames} are "
            f"needed{suffix}",
        )


def find_video_faces(
    path: Path | str,
    crops: CropOptions | None = None,
    *,
    min_frames: int = 1,
    all_faces: bool = False,
) -> VideoFaces:
    """Reads a video once and follows the faces in it.

    Only luma is read, which most files store directly, unless the detector needs color:
    conversion to RGB and back would cost more than decoding.

    Args:
        path: A video file.
        crops: Options of search and crops; the defaults of `CropOptions` if left out.
        min_frames: Shorter tracks are left out.
        all_faces: Look for every face; otherwise smaller ones may be left out while a
            possible main face is being tracked (`FaceFinder` with `main_only`).

    Returns:
        The faces; there may be several even without `all_faces`.

    Raises:
        VideoError: If the file cannot be used, with the reason.
    """
    # Importing it loads detectors, which the other users of this module do not need.
    from lightly_marlin.faces import FaceFinder
    from lightly_marlin.faces.detection.detector_registry import load_detectors

    crops = crops or CropOptions()
    finder = FaceFinder(
        min_frames=min_frames,
        min_face=crops.min_face,
        detector=crops.detector,
        align_eyes=crops.align_eyes,
        main_only=not all_faces,
    )
    size = (0, 0)
    color = load_detectors(crops.detector)[0].color
    with VideoReader(path) as reader:
        for picture in reader if color else reader.planes():
            size = (picture.shape[1], picture.shape[0])
            finder.update(picture)
            report_progress()
    return VideoFaces(
        path=path,
        min_frames=min_frames,
        tracks=finder.finish(),
        longest=finder.longest,
        longest_untrusted=finder.longest_untrusted,
        num_frames=reader.num_frames,
        notes=tuple(reader.notes),
        size=size,
        fps=reader.fps,
        seconds=reader.seconds,
    )
