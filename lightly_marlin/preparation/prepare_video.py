"""Preparation of one video: its faces are found, then cropped."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lightly_marlin.audio.reader import AudioError
from lightly_marlin.jobs.record import Status
from lightly_marlin.preparation.crop_pass import crop_tracks
from lightly_marlin.preparation.track_sound import TrackSound, write_sounds
from lightly_marlin.preparation.track_writer import CropParser, TrackWriter
from lightly_marlin.preparation.video_faces import (
    NoFaceError,
    VideoFaces,
    find_video_faces,
)
from lightly_marlin.preparation.video_files import VideoFile
from lightly_marlin.store.crop_options import CropOptions
from lightly_marlin.store.crop_video import JPEG_QUALITY
from lightly_marlin.store.format import (
    CROP_SIZE,
    TRACKS_NAME,
    TrackRow,
    VideoRecord,
    person_id,
    video_id,
)
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.video.reader import VideoError

if TYPE_CHECKING:
    from lightly_marlin.faces import FaceParser, FaceTrack
    from lightly_marlin.faces.tracking.track_quality import Appearance

__all__ = ["MIN_FRAMES", "PreparationOptions", "prepare_video"]

MIN_FRAMES = 16
"""Frames of a clip, and thus of the shortest track that is kept."""


@dataclass(frozen=True)
class PreparationOptions(CropOptions):
    """Options of the content that is kept of a video, besides `CropOptions`.

    Attributes:
        all_faces: Keep every face track instead of only the largest and longest.
        parser: Parser of crops into regions; None derives them from the landmarks.
        jpeg_quality: Quality of the stored crops, from 1 to 100.
        audio: Keep the sound of the tracks.
    """

    all_faces: bool = False
    parser: FaceParser | None = None
    jpeg_quality: int = JPEG_QUALITY
    audio: bool = False

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            UsageError: A ValueError, naming the option, its value and what is allowed.
        """
        super().__post_init__()
        self._check_positive("jpeg_quality")
        if self.jpeg_quality > 100:
            raise UsageError(
                f"Invalid jpeg_quality ({self.jpeg_quality}). Supported values are 1 "
                "to 100; above 95, files grow for little."
            )


def prepare_video(
    video: VideoFile, folder: Path, options: PreparationOptions
) -> VideoRecord:
    """Writes the face tracks of a video.

    Args:
        video: The video.
        folder: An existing empty folder for the files of the tracks.
        options: Options of search, crops and content.

    Returns:
        The record of the video, without path and fingerprint. It also reports an
        unusable video; the content of `folder` is then useless.
    """
    num_frames = 0
    sound = _Sound()
    try:
        found = find_video_faces(
            video.path, options, min_frames=MIN_FRAMES, all_faces=options.all_faces
        )
        num_frames = found.num_frames
        tracks = found.select(all_faces=options.all_faces)
        if options.audio:
            sound = _write_sound(video.path, folder, tracks, found)
        looks = _write_tracks(video.path, folder, tracks, found, options)
    except NoFaceError as error:
        return _without_tracks(video, "no_face", error.reason, num_frames)
    except VideoError as error:
        record = _without_tracks(video, "failed", error.reason, num_frames)
        # A video that cannot be reached now may be available next time.
        return replace(record, retry=isinstance(error.__cause__, OSError))
    return VideoRecord(
        source=video.source,
        status="ok",
        reason="; ".join(filter(None, (found.note, sound.note))) or None,
        num_frames=num_frames,
        rows=tuple(
            replace(
                _index_row(video.source, number, track, found, looks[number]),
                num_samples=sound.num_samples.get(number, 0),
            )
            for number, track in enumerate(tracks)
        ),
        retry=sound.retry,
    )


@dataclass(frozen=True)
class _Sound:
    """Outcome of the pass over the sound of a video.

    Attributes:
        num_samples: Samples of each track, by its number; empty without sound.
        note: Why there is no sound.
        retry: It failed for a transient reason.
    """

    num_samples: dict[int, int] = field(default_factory=dict)
    note: str | None = None
    retry: bool = False


def _write_sound(
    path: Path, folder: Path, tracks: list[FaceTrack], found: VideoFaces
) -> _Sound:
    """Writes the sound of all tracks, unless the video has none."""
    sounds = [
        TrackSound(
            folder / _video_name(number),
            found.seconds[track.start_frame : track.end_frame],
            found.fps,
        )
        for number, track in enumerate(tracks)
    ]
    try:
        write_sounds(path, sounds)
    except AudioError as error:
        retry = isinstance(error.__cause__, OSError)
        return _Sound(note=f"without sound: {error.reason}", retry=retry)
    return _Sound({number: sound.num_samples for number, sound in enumerate(sounds)})


def _write_tracks(
    path: Path,
    folder: Path,
    tracks: list[FaceTrack],
    found: VideoFaces,
    options: PreparationOptions,
) -> dict[int, Appearance]:
    """Reads the video again and writes the crops of all tracks as they arrive.

    Returns:
        Appearance of each track, by its number.
    """
    from lightly_marlin.faces import landmarks_to_crop

    looks: dict[int, Appearance] = {}
    writers: dict[int, TrackWriter] = {}
    with contextlib.ExitStack() as unfinished:
        crops = crop_tracks(path, tracks, CROP_SIZE)
        unfinished.callback(crops.close)
        for item in crops:
            if item.row == 0:
                track = tracks[item.track]
                writers[item.track] = TrackWriter(
                    folder / _video_name(item.track),
                    landmarks_to_crop(
                        track.landmarks, track.boxes, CROP_SIZE, track.angles
                    ),
                    track.boxes,
                    track.angles,
                    found.fps,
                    _crop_parser(options.parser),
                    jpeg_quality=options.jpeg_quality,
                )
                unfinished.callback(writers[item.track].abandon)
            assert item.crop is not None
            writers[item.track].write(item.crop)
            if item.is_last:
                looks[item.track] = writers.pop(item.track).close()
    return looks


def _crop_parser(parser: FaceParser | None) -> CropParser:
    """Returns the function that turns crops and landmarks into labels."""
    if parser is not None:
        face_parser = parser

        def parse(
            crops: npt.NDArray[np.uint8], landmarks: npt.NDArray[np.float32]
        ) -> npt.NDArray[np.integer[Any]]:
            del landmarks
            whole = np.array([[0, 0, CROP_SIZE, CROP_SIZE]], dtype=np.float32)
            return face_parser(crops, np.repeat(whole, len(crops), axis=0))

        return parse

    from lightly_marlin.faces import regions_from_landmarks

    return lambda crops, landmarks: regions_from_landmarks(
        landmarks, CROP_SIZE, CROP_SIZE
    )


def _index_row(
    source: str, number: int, track: FaceTrack, found: VideoFaces, look: Appearance
) -> TrackRow:
    from lightly_marlin.faces.tracking.track_quality import (
        mean_confidence,
        measure_geometry,
    )

    width, height = found.frame_size(track)
    name = video_id(source)
    return TrackRow(
        track_id=f"{name}_{number:03d}",
        source=source,
        start_frame=track.start_frame,
        num_frames=track.num_frames,
        fps=found.fps,
        width=width,
        height=height,
        score=float(track.score),
        coverage=float(np.mean(track.seen)),
        face_size=float(np.median(track.boxes[:, 2] - track.boxes[:, 0])),
        video=f"{TRACKS_NAME}/{name}/{_video_name(number)}",
        person_id=person_id(name, track.person),
        detected_share=float(np.mean(track.detected)),
        landmark_confidence=mean_confidence(track.confidence),
        **vars(measure_geometry(track.landmarks, track.boxes)),
        **vars(look),
    )


def _without_tracks(
    video: VideoFile, status: Status, reason: str, num_frames: int
) -> VideoRecord:
    return VideoRecord(
        source=video.source, status=status, reason=reason, num_frames=num_frames
    )


def _video_name(number: int) -> str:
    return f"track_{number:03d}.mov"
