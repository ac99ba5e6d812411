"""The main face of a video and its sound, at 25 frames per second."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lightly_marlin.audio import read_audio
from lightly_marlin.audio.samples import RATE
from lightly_marlin.lip_sync.frame_rate import FPS, frames_shown
from lightly_marlin.preparation.crop_pass import crop_tracks
from lightly_marlin.preparation.video_faces import find_video_faces
from lightly_marlin.store import CropOptions
from lightly_marlin.video import VideoError

__all__ = ["PlacedFace", "TalkingFace", "placed_face", "shift_sound", "talking_face"]


class TalkingFace(NamedTuple):
    """Crops of a face, and what is heard with them.

    Attributes:
        frames: uint8 array with shape (T, size, size, 3), RGB, at 25 per second.
        samples: float32 array with shape (640 T,), 16 kHz, in [-1, 1]; the first sounds
            with the first frame.
        start: Seconds from the first picture of the video to the first frame.
    """

    frames: npt.NDArray[np.uint8]
    samples: npt.NDArray[np.float32]
    start: float


class PlacedFace(NamedTuple):
    """A talking face, and where its crops are in the video.

    Attributes:
        face: Crops and sound, T frames.
        boxes: float32 array with shape (T, 4): x0, y0, x1, y1 of each crop in pixels of
            the video.
        angles: Floating-point array with shape (T,): rotation of each crop in radians.
        seconds: float64 array with shape (n,): time of each frame of the video after
            its first.
        fps: Average frame rate of the video.
    """

    face: TalkingFace
    boxes: npt.NDArray[np.float32]
    angles: npt.NDArray[np.floating]
    seconds: npt.NDArray[np.float64]
    fps: float

    @property
    def duration(self) -> float:
        """Seconds that the pictures of the video last."""
        return float(self.seconds[-1]) + 1 / self.fps


def talking_face(
    path: Path | str,
    crops: CropOptions | None = None,
    *,
    size: int = 224,
    max_seconds: float = 60.0,
) -> TalkingFace:
    """Reads the main face of a video, and its sound.

    Args:
        path: A video file.
        crops: Options of search and crops; the defaults of `CropOptions` if left out.
        size: Height and width of the crops in pixels.
        max_seconds: Seconds of the face that are read, from its first frame on; above
            0. A second of 224×224 pixels is 4 MB.

    Returns:
        The face. Where the recording has no sound, it is silent.

    Raises:
        AudioError: If the video has no sound, or none while the face is seen.
        VideoError: If it cannot be read, or shows no face.
    """
    return placed_face(path, crops, size=size, max_seconds=max_seconds).face


def placed_face(
    path: Path | str,
    crops: CropOptions | None = None,
    *,
    size: int = 224,
    max_seconds: float = 60.0,
) -> PlacedFace:
    """Reads the main face of a video, its sound, and where it is.

    Args:
        path: As for `talking_face`, like all others.
        crops: Options of search and crops.
        size: Height and width of the crops in pixels.
        max_seconds: Seconds of the face that are read.

    Returns:
        The face with its places.

    Raises:
        AudioError: If the video has no sound, or none while the face is seen.
        VideoError: If it cannot be read, or shows no face.
    """
    # First, as it is sooner done than the search for faces.
    samples, sound_start = read_audio(path)
    faces = find_video_faces(path, crops)
    (track,) = faces.select()
    seconds = faces.seconds[track.start_frame : track.end_frame]
    start = float(seconds[0])
    duration = min(float(seconds[-1]) - start + 1 / faces.fps, max_seconds)
    shown = frames_shown(seconds - start, max(1, round(duration * FPS)))
    wanted = {int(row) for row in shown}
    found: dict[int, npt.NDArray[np.uint8]] = {}
    rows = crop_tracks(path, [track], size, needed=lambda _, row: row in wanted)
    for row in rows:
        if row.crop is not None:
            found[row.row] = row.crop
        if len(found) == len(wanted):
            break
    rows.close()
    frames = np.stack([found[int(row)] for row in shown])
    first = round((start - sound_start) * RATE)
    sound = _cut(samples, first, len(frames) * RATE // FPS)
    if sound is None:
        raise VideoError(path, "it has no sound while its main face is seen")
    face = TalkingFace(frames, sound, start)
    boxes, angles = track.boxes[shown], track.angles[shown]
    return PlacedFace(face, boxes, angles, faces.seconds, faces.fps)


def shift_sound(face: TalkingFace, frames: int) -> TalkingFace:
    """Moves the sound of a face, and fills what is missing with silence.

    Args:
        face: The face.
        frames: Frames by which the sound comes earlier; later if negative. Fewer than
            the face has.
    """
    samples = np.zeros_like(face.samples)
    count = abs(frames) * RATE // FPS
    kept = len(samples) - count
    if frames >= 0:
        samples[:kept] = face.samples[count:]
    else:
        samples[count:] = face.samples[:kept]
    return face._replace(samples=samples)


def _cut(
    samples: npt.NDArray[np.float32], first: int, count: int
) -> npt.NDArray[np.float32] | None:
    """Returns samples with silence where there are none; None if that is all."""
    begin, end = max(first, 0), min(first + count, len(samples))
    if begin >= end:
        return None
    sound = np.zeros(count, np.float32)
    sound[begin - first : end - first] = samples[begin:end]
    return sound
