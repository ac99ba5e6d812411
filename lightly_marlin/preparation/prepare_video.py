"""One video becomes tracks: find the faces, then cut them out.

The video is read twice, because the smooth path of a crop box needs frames that come
later; keeping the frames instead would make memory grow with the length of the video.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lightly_marlin.jobs.worker_pool import report_progress
from lightly_marlin.preparation.track_writer import CropParser, TrackWriter
from lightly_marlin.preparation.video_faces import VideoFaces, find_video_faces
from lightly_marlin.preparation.video_files import VideoFile
from lightly_marlin.store.format import (
    CROP_SIZE,
    TRACKS_NAME,
    Status,
    TrackRow,
    VideoRecord,
    person_id,
    video_id,
)
from lightly_marlin.video.reader import VideoError, VideoReader

if TYPE_CHECKING:
    from lightly_marlin.faces import FaceParser, FaceTrack
    from lightly_marlin.faces.finder import DetectorName
    from lightly_marlin.faces.track_quality import Appearance

__all__ = ["MIN_FRAMES", "PreparationOptions", "prepare_video"]

MIN_FRAMES = 16
"""Frames of a clip, and so of the shortest track that is kept."""


@dataclass(frozen=True)
class PreparationOptions:
    """What is kept of a video.

    Attributes:
        all_faces: Keep every face track; otherwise the one that fills the most.
        min_face: About the smallest face to look for: its side in source pixels.
        parser: Parses the crops into regions; None derives them from the landmarks.
        detector: "hog", "cnn" or "auto"; see `FaceFinder`.
        align_eyes: Turn the crops so that the eyes lie on a level.
    """

    all_faces: bool = False
    min_face: int = 40
    parser: FaceParser | None = None
    detector: DetectorName = "auto"
    align_eyes: bool = False


def prepare_video(
    video: VideoFile, folder: Path, options: PreparationOptions
) -> VideoRecord:
    """Writes the face tracks of a video.

    Args:
        video: The video.
        folder: An existing empty folder for the files of the tracks.
        options: What is kept.

    Returns:
        The record of the video, without path and fingerprint. A video that cannot be
        used is reported in it, too; what lies in `folder` is then of no use.
    """
    num_frames = 0
    try:
        found = find_video_faces(
            video.path,
            min_frames=MIN_FRAMES,
            all_faces=options.all_faces,
            min_face=options.min_face,
            detector=options.detector,
            align_eyes=options.align_eyes,
        )
        num_frames = found.num_frames
        tracks = _select(video.path, found, options)
        looks = _write_tracks(video.path, folder, tracks, found, options)
    except _NoFaceError as error:
        return _without_tracks(video, "no_face", error.reason, num_frames)
    except VideoError as error:
        record = _without_tracks(video, "failed", error.reason, num_frames)
        # A video that cannot be reached now may be there the next time.
        return replace(record, retry=isinstance(error.__cause__, OSError))
    return VideoRecord(
        source=video.source,
        status="ok",
        reason=found.damage,
        num_frames=num_frames,
        rows=tuple(
            _index_row(video.source, number, track, found, looks[number])
            for number, track in enumerate(tracks)
        ),
    )


class _NoFaceError(VideoError):
    """There is no face anywhere in a video that is otherwise fine."""


def _select(
    path: Path, found: VideoFaces, options: PreparationOptions
) -> list[FaceTrack]:
    """Returns the tracks to keep, at least one.

    Raises:
        VideoError: If there is none, with the reason.
    """
    from lightly_marlin.faces import main_track

    if not found.tracks:
        damage = found.damage
        suffix = f" ({damage})" if damage else ""
        if found.longest == 0:
            text = f"no face was found in its {found.num_frames} frames{suffix}"
            raise _NoFaceError(path, text)
        raise VideoError(
            path,
            f"the longest face track has {found.longest} frames; {MIN_FRAMES} are "
            f"needed{suffix}",
        )
    return found.tracks if options.all_faces else [main_track(found.tracks)]


def _write_tracks(
    path: Path,
    folder: Path,
    tracks: list[FaceTrack],
    found: VideoFaces,
    options: PreparationOptions,
) -> dict[int, Appearance]:
    """Reads the video again and writes the crops of all tracks as they come by.

    Returns:
        What the crops of each track look like, by its number.
    """
    from lightly_marlin.faces import crop_face, landmarks_to_crop

    waiting = list(enumerate(tracks))
    active: list[tuple[int, FaceTrack, TrackWriter]] = []
    looks: dict[int, Appearance] = {}
    first, stop = tracks[0].start_frame, max(track.end_frame for track in tracks)
    with VideoReader(path) as reader, contextlib.ExitStack() as unfinished:
        for index, frame in enumerate(reader.frames(first, stop), start=first):
            while waiting and waiting[0][1].start_frame == index:
                number, track = waiting.pop(0)
                landmarks = landmarks_to_crop(
                    track.landmarks, track.boxes, CROP_SIZE, track.angles
                )
                writer = TrackWriter(
                    folder / _video_name(number),
                    landmarks,
                    track.boxes,
                    track.angles,
                    found.fps,
                    _crop_parser(options.parser),
                )
                unfinished.callback(writer.abandon)
                active.append((number, track, writer))
            for number, track, writer in active:
                row = index - track.start_frame
                box, angle = track.boxes[row], float(track.angles[row])
                writer.write(crop_face(frame, box, CROP_SIZE, angle))
                report_progress()
                if track.end_frame == index + 1:
                    looks[number] = writer.close()
            active = [entry for entry in active if entry[1].end_frame > index + 1]
    if waiting or active:
        raise VideoError(path, "it changed while it was read")
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
    from lightly_marlin.faces.track_quality import mean_confidence, measure_geometry

    name = video_id(source)
    return TrackRow(
        track_id=f"{name}_{number:03d}",
        source=source,
        start_frame=track.start_frame,
        num_frames=track.num_frames,
        fps=found.fps,
        width=found.size[0],
        height=found.size[1],
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
