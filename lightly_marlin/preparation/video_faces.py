"""The faces of a video file: how preparation, features and pictures all look for them.

One way for all, so that the crops that a model was trained on, and those that it is
shown later, are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lightly_marlin.jobs.worker_pool import report_progress
from lightly_marlin.video.reader import VideoReader

if TYPE_CHECKING:
    from lightly_marlin.faces import FaceTrack
    from lightly_marlin.faces.finder import DetectorName

__all__ = ["VideoFaces", "find_video_faces"]


@dataclass(frozen=True)
class VideoFaces:
    """The faces of a video, and what a pass over it tells besides.

    Attributes:
        tracks: The face tracks, sorted by start, then by size, large faces first.
        longest: Longest run of frames with one face, also if too short for a track.
        num_frames: Frames that were decoded.
        num_skipped: Damaged packets that were skipped.
        size: Width and height of the frames in pixels.
        fps: Average frame rate in frames per second.
        seconds: When the frames are shown, float64 (num_frames,), after the first one.
    """

    tracks: list[FaceTrack]
    longest: int
    num_frames: int
    num_skipped: int
    size: tuple[int, int]
    fps: float
    seconds: npt.NDArray[np.float64]

    @property
    def damage(self) -> str | None:
        """What was wrong with the file, for people; None if nothing."""
        if self.num_skipped == 0:
            return None
        return f"{self.num_skipped} damaged packets were skipped"


def find_video_faces(
    path: Path | str,
    *,
    min_frames: int,
    all_faces: bool = False,
    min_face: int = 40,
    detector: DetectorName = "auto",
    align_eyes: bool = False,
) -> VideoFaces:
    """Reads a video once and follows the faces in it.

    Only luma is read, which most files hold as it is: conversion to RGB and back would
    cost more than decoding.

    Args:
        path: A video file.
        min_frames: Shorter tracks are left out.
        all_faces: Look for every face; otherwise smaller ones may be left out while one
            that can be the main one is followed (`FaceFinder` with `main_only`).
        min_face: About the smallest face to look for: its side in source pixels.
        detector: "hog", "cnn" or "auto"; see `FaceFinder`.
        align_eyes: Turn the crops so that the eyes lie on a level.

    Returns:
        The faces; without `all_faces` there may be several, too.

    Raises:
        VideoError: If the file cannot be used, with the reason.
    """
    # Loads detectors, which the other users of `lightly_marlin.data` do not need.
    from lightly_marlin.faces import FaceFinder

    finder = FaceFinder(
        min_frames=min_frames,
        min_face=min_face,
        detector=detector,
        align_eyes=align_eyes,
        main_only=not all_faces,
    )
    size = (0, 0)
    with VideoReader(path) as reader:
        for plane in reader.planes():
            size = (plane.shape[1], plane.shape[0])
            finder.update(plane)
            report_progress()
    return VideoFaces(
        tracks=finder.finish(),
        longest=finder.longest,
        num_frames=reader.num_frames,
        num_skipped=reader.num_skipped,
        size=size,
        fps=reader.fps,
        seconds=reader.seconds,
    )
