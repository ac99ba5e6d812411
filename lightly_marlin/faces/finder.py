"""From frames to face tracks, one frame at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightly_marlin.faces.boxes import box_overlap, match_boxes
from lightly_marlin.faces.crop import crop_boxes
from lightly_marlin.faces.dlib_models import (
    HOG_WINDOW,
    Detection,
    DlibDetector,
    DlibLandmarks,
)
from lightly_marlin.faces.follower import FaceFollower, FaceTools, Sighting
from lightly_marlin.faces.luma import check_frame, luma_plane, resize_plane
from lightly_marlin.faces.scene_cuts import SceneCuts
from lightly_marlin.faces.smoothing import smooth_polynomial
from lightly_marlin.faces.track import FaceTrack
from lightly_marlin.faces.trajectory import Trajectory, join_trajectories

__all__ = ["FaceFinder", "find_faces"]

# Planes are kept up to this longest side, and enlarged up to it to find small faces.
_LONGEST_SIDE = 1440

_MATCH_IOU = 0.35
_SAME_FACE_OVERLAP = 0.6

# False detections come and go: a face is seen several times and goes on being seen.
_MIN_DETECTIONS = 3
_MIN_DETECTED_SHARE = 0.1

_LANDMARK_WINDOW = 5


@dataclass
class _LiveFace:
    """A face that is being followed.

    Attributes:
        first_seen: The frame in which the follower started.
        past: Sightings of the frames before, oldest first.
        follower: Follows the face forwards.
    """

    first_seen: int
    past: list[Sighting]
    follower: FaceFollower

    def box_at(self, frame: int) -> NDArray[np.float64] | None:
        """Returns the box (4,) in a frame, in plane pixels, or None."""
        sightings = self.follower.sightings
        index = frame - self.first_seen
        if -len(self.past) <= index < 0:
            return self.past[index].box
        return sightings[index].box if 0 <= index < len(sightings) else None


class FaceFinder:
    """Finds and follows every face of a video that is fed frame by frame.

    The whole frame is searched every `detect_every` frames; a face that turns up is
    followed from there, forwards as frames come and backwards through the planes that
    are kept, so that it loses no frame to the search's rhythm. Apart from those planes,
    only landmarks are kept: memory does not grow with the pixels of a video.

    Example:
        >>> finder = FaceFinder()
        >>> for frame in frames:
        ...     finder.update(frame)
        >>> tracks = finder.finish()
    """

    def __init__(
        self,
        *,
        min_frames: int = 16,
        min_face: int = 40,
        detect_every: int = 12,
        check_every: int = 3,
        look_back: int = 32,
        max_unseen: int = 45,
        max_gap: int = 12,
    ) -> None:
        """Loads the detector and the landmarks.

        Args:
            min_frames: Shorter tracks are left out.
            min_face:
                About the smallest side in source pixels of a face to search for, as the
                detector draws its box. Frames are enlarged for it up to 1440 pixels, so
                in large frames the limit is an eighteenth of the longest side.
            detect_every: Every so many frames the whole frame is searched.
            check_every: Every so many frames the detector looks again at a known face.
            look_back: So many frames are kept to follow a new face backwards.
            max_unseen: A face is followed without a detection for so many frames.
            max_gap: Longest hole in a track, in frames, that is filled.

        Raises:
            ValueError: If an option is below its minimum (1, or 0 for the last three).
        """
        options = {
            "min_frames": (min_frames, 1),
            "min_face": (min_face, 1),
            "detect_every": (detect_every, 1),
            "check_every": (check_every, 1),
            "look_back": (look_back, 0),
            "max_unseen": (max_unseen, 0),
            "max_gap": (max_gap, 0),
        }
        for name, (value, minimum) in options.items():
            if value < minimum:
                raise ValueError(f"Invalid {name} {value}: must be at least {minimum}.")
        self._tools = FaceTools(DlibDetector(), DlibLandmarks())
        self._min_frames = min_frames
        self._min_face = min_face
        self._detect_every = detect_every
        self._check_every = check_every
        self._max_unseen = max_unseen
        self._max_gap = max_gap
        self._cuts = SceneCuts()
        self._planes: deque[NDArray[np.uint8]] = deque(maxlen=look_back)
        self._live: list[_LiveFace] = []
        self._closed: list[Trajectory] = []
        self._frame_size = (0, 0)
        self._scale = 1.0
        self._scene = 0
        self._next_search = 0
        self._frames_seen = 0

    @property
    def frames_seen(self) -> int:
        """Number of frames fed so far."""
        return self._frames_seen

    @property
    def longest(self) -> int:
        """Longest run of frames with one face, also if too short for a track.

        0 if there was no face at all. Complete after `finish`.
        """
        return max((face.num_frames for face in self._faces()), default=0)

    def update(self, frame: NDArray[np.uint8]) -> None:
        """Takes the next frame.

        Args:
            frame:
                uint8 array with shape (H, W, 3), RGB. A change of size starts a scene.

        Raises:
            ValueError: If it is no such array.
        """
        check_frame(frame)
        plane, scale = luma_plane(frame, _LONGEST_SIDE)
        cut = self._cuts.update(plane)
        if cut or frame.shape[:2] != self._frame_size:
            self._start_scene(frame, scale)
        self._follow(plane)
        if self._frames_seen >= self._next_search:
            self._search(plane)
            self._next_search = self._frames_seen + self._detect_every
        self._planes.append(plane)
        self._frames_seen += 1

    def finish(self) -> list[FaceTrack]:
        """Ends the video.

        Returns:
            The tracks of at least `min_frames` frames, sorted by start, then by size,
            large faces first. `frames_seen` and `longest` tell why there is none.
        """
        self._close(self._live)
        tracks = [
            self._to_track(face)
            for face in self._faces()
            if face.num_frames >= self._min_frames
        ]
        return sorted(tracks, key=lambda track: (track.start_frame, -track.size))

    def _start_scene(self, frame: NDArray[np.uint8], scale: float) -> None:
        """Forgets the planes and ends the faces of the scene before."""
        self._close(self._live)
        self._planes.clear()
        self._scene += 1
        self._next_search = self._frames_seen
        self._frame_size = frame.shape[:2]
        self._scale = scale

    def _follow(self, plane: NDArray[np.uint8]) -> None:
        """Follows the live faces into a frame and ends those that are lost."""
        self._close([face for face in self._live if not face.follower.step(plane)])
        if len(self._live) < 2:
            return
        # The follower with more evidence keeps a face that two have run into.
        faces = sorted(self._live, key=lambda face: -face.follower.num_detected)
        for index, face in enumerate(faces):
            others = [other.follower.box for other in faces[:index]]
            if _is_among(face.follower.box, others):
                face.follower.forget_last()
                self._close([face])

    def _search(self, plane: NDArray[np.uint8]) -> None:
        """Searches the whole frame: confirms known faces and starts new ones."""
        factor = min(HOG_WINDOW / (self._min_face * self._scale), _enlargement(plane))
        found = [
            Detection(detection.box / factor, detection.score)
            for detection in self._tools.detector(resize_plane(plane, factor))
        ]
        boxes = np.array([detection.box for detection in found]).reshape(-1, 4)
        known = np.array([face.follower.box for face in self._live]).reshape(-1, 4)
        matched = match_boxes(known, boxes, _MATCH_IOU)
        for live, new in matched:
            self._live[live].follower.confirm(plane, found[new])
        confirmed = {new for _, new in matched}
        for index, detection in enumerate(found):
            others = [face.follower.box for face in self._live]
            if index not in confirmed and not _is_among(detection.box, others):
                self._start_face(plane, detection)

    def _start_face(self, plane: NDArray[np.uint8], detection: Detection) -> None:
        """Starts to follow a new face, first backwards, then forwards."""
        backwards = self._new_follower(plane, detection)
        for age, earlier in enumerate(reversed(self._planes), start=1):
            if not backwards.step(earlier):
                break
            if self._is_known(backwards.box, self._frames_seen - age):
                backwards.forget_last()
                break
        past = self._without_tail(backwards.sightings)[:0:-1]
        follower = self._new_follower(plane, detection)
        self._live.append(_LiveFace(self._frames_seen, past, follower))

    def _new_follower(
        self, plane: NDArray[np.uint8], detection: Detection
    ) -> FaceFollower:
        return FaceFollower(
            self._tools,
            plane,
            detection,
            check_every=self._check_every,
            max_unseen=self._max_unseen,
        )

    def _is_known(self, box: NDArray[np.float64], frame: int) -> bool:
        """Returns whether another face covers a box (4,) of the plane in a frame."""
        live = [face.box_at(frame) for face in self._live]
        closed = [
            face.box_at(frame) for face in self._closed if face.scene == self._scene
        ]
        boxes = [other for other in live if other is not None]
        boxes += [other * self._scale for other in closed if other is not None]
        return _is_among(box, boxes)

    def _without_tail(self, sightings: list[Sighting]) -> list[Sighting]:
        """Drops what was followed beyond the last detection and its next check."""
        last = max(
            i for i, sighting in enumerate(sightings) if sighting.score is not None
        )
        return sightings[: last + self._check_every]

    def _close(self, faces: Iterable[_LiveFace]) -> None:
        """Ends live faces and keeps their trajectories."""
        for face in list(faces):
            self._live.remove(face)
            sightings = face.past + self._without_tail(face.follower.sightings)
            self._closed.append(
                Trajectory.from_sightings(
                    sightings,
                    scene=self._scene,
                    start=face.first_seen - len(face.past),
                    scale=self._scale,
                )
            )

    def _faces(self) -> list[Trajectory]:
        """Returns the ended faces that were seen often enough."""
        return [
            face
            for face in join_trajectories(self._closed, self._max_gap)
            if self._is_persistent(face)
        ]

    def _is_persistent(self, face: Trajectory) -> bool:
        """Returns whether a detector saw a face often enough to believe in it."""
        checks = max(2, -(-face.num_frames // self._check_every))
        enough = max(
            min(_MIN_DETECTIONS, checks), _MIN_DETECTED_SHARE * face.num_frames
        )
        return face.num_detected >= enough

    def _to_track(self, face: Trajectory) -> FaceTrack:
        """Smooths a trajectory and lays the crop boxes."""
        detected = ~np.isnan(face.scores)
        return FaceTrack(
            start_frame=face.start,
            boxes=crop_boxes(face.landmarks, *self._frame_size),
            landmarks=smooth_polynomial(face.landmarks, _LANDMARK_WINDOW).astype(
                np.float32
            ),
            detected=detected,
            score=float(face.scores[detected].mean()),
        )


def find_faces(frames: Iterable[NDArray[np.uint8]], **options: Any) -> list[FaceTrack]:
    """Finds and follows every face in a sequence of frames.

    Args:
        frames: uint8 arrays with shape (H, W, 3), RGB; read once.
        **options: As for `FaceFinder`.

    Returns:
        The tracks, as from `FaceFinder.finish`.
    """
    finder = FaceFinder(**options)
    for frame in frames:
        finder.update(frame)
    return finder.finish()


def _enlargement(plane: NDArray[np.uint8]) -> float:
    """Returns by how much a plane may be enlarged for the search."""
    return _LONGEST_SIDE / float(max(plane.shape))


def _is_among(box: NDArray[np.float64], others: list[NDArray[np.float64]]) -> bool:
    """Returns whether one of `others` covers the same face as `box`."""
    if not others:
        return False
    return bool(box_overlap(box[None], np.stack(others)).max() > _SAME_FACE_OVERLAP)
