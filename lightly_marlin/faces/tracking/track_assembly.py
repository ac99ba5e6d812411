"""Assembly of a video's face tracks from its raw trajectories."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lightly_marlin.faces.crop import crop_boxes
from lightly_marlin.faces.detection.detector import FaceDetector
from lightly_marlin.faces.detection.dlib_networks import DlibEmbedder
from lightly_marlin.faces.detection.face_search import look_at_chip
from lightly_marlin.faces.detection.sighting import choose_portraits
from lightly_marlin.faces.landmarks.landmark_fit import MAX_SPREAD, fit_confidence
from lightly_marlin.faces.tracking.people import PeopleTeller
from lightly_marlin.faces.tracking.smoothing import smooth_polynomial
from lightly_marlin.faces.tracking.track import FaceTrack
from lightly_marlin.faces.tracking.trajectory import Trajectory, join_trajectories

__all__ = ["FoundFaces", "TrackAssembly"]

# False detections come and go, and landmarks do not fit them: a real face is seen
# several times and keeps being seen, and its landmarks are reproduced from other
# starts.
_MIN_DETECTIONS = 3
_MIN_SEEN_SHARE = 0.25

# Up to here the landmarks speak for themselves. From there to `MAX_SPREAD`, where they
# say nothing any more, a face has to be seen in most of some of its portraits as well.
_CLEAR_SPREAD = 0.03
_MAX_PORTRAITS = 3

_LANDMARK_WINDOW = 5


class FoundFaces(NamedTuple):
    """Trajectories that were seen often enough to be faces.

    Attributes:
        trusted: Those that become tracks.
        untrusted: Those whose landmarks fit too badly.
    """

    trusted: list[Trajectory]
    untrusted: list[Trajectory]


class TrackAssembly:
    """Makes tracks: splits and joins trajectories, drops false ones, numbers people."""

    def __init__(
        self,
        embedder: DlibEmbedder,
        judge: FaceDetector,
        *,
        min_frames: int,
        max_gap: int,
        check_every: int,
        align_eyes: bool,
    ) -> None:
        """Stores the options; see `FaceFinder`.

        Args:
            embedder: Embeds portraits.
            judge: The most careful detector at hand, shown the portraits of faces that
                are in doubt.
            min_frames: Shorter tracks are left out.
            max_gap: Longest hole in a track, in frames, that is filled.
            check_every: Frames between detection passes on a face.
            align_eyes: Turn the crops so that the eyes lie on a level.
        """
        self._judge = judge
        self._people = PeopleTeller(embedder)
        self._min_frames = min_frames
        self._max_gap = max_gap
        self._check_every = check_every
        self._align_eyes = align_eyes

    def faces(self, trajectories: Sequence[Trajectory]) -> FoundFaces:
        """Returns the trajectories that are faces, each of one person, without holes.

        Args:
            trajectories: All trajectories of a video, in any order.
        """
        pieces = [
            piece
            for trajectory in trajectories
            for piece in self._people.part(trajectory)
        ]
        joined = join_trajectories(pieces, self._max_gap, self._people.may_be_same)
        found = FoundFaces([], [])
        for face in filter(self._is_seen, joined):
            (found.trusted if self._is_trusted(face) else found.untrusted).append(face)
        return found

    def tracks(self, faces: Sequence[Trajectory]) -> list[FaceTrack]:
        """Smooths faces into tracks.

        Args:
            faces: From `faces`, the trusted ones.

        Returns:
            The tracks of at least `min_frames` frames, sorted by start, then by size,
            large faces first.
        """
        kept = [face for face in faces if face.num_frames >= self._min_frames]
        tracks = [self._to_track(face) for face in kept]
        people = self._people.people(kept)
        named = [
            dataclasses.replace(track, person=person)
            for track, person in zip(tracks, people, strict=True)
        ]
        return sorted(named, key=lambda track: (track.start_frame, -track.size))

    def _is_seen(self, face: Trajectory) -> bool:
        """Returns whether a trajectory was seen often enough."""
        # A face in the last frames of a video had no time for more.
        enough = min(_MIN_DETECTIONS, 1 + face.num_frames // 3)
        seen = float(face.seen(self._check_every).mean())
        return face.num_detected >= enough and seen >= _MIN_SEEN_SHARE

    def _is_trusted(self, face: Trajectory) -> bool:
        """Returns whether the landmarks of a trajectory are those of a face."""
        spreads = face.spreads[~np.isnan(face.spreads)]
        spread = float(np.mean(spreads)) if len(spreads) else 0.0
        if not _CLEAR_SPREAD < spread < MAX_SPREAD:
            return spread <= _CLEAR_SPREAD
        chosen = choose_portraits(face.portraits, _MAX_PORTRAITS)
        seen = [bool(look_at_chip(self._judge, one.image)) for one in chosen]
        return sum(seen) > len(seen) / 2

    def _to_track(self, face: Trajectory) -> FaceTrack:
        detected = ~np.isnan(face.scores)
        boxes, angles = crop_boxes(
            face.landmarks, *face.frame_size, align_eyes=self._align_eyes
        )
        return FaceTrack(
            start_frame=face.start,
            boxes=boxes,
            landmarks=smooth_polynomial(face.landmarks, _LANDMARK_WINDOW).astype(
                np.float32
            ),
            detected=detected,
            score=float(face.scores[detected].mean()),
            angles=angles,
            seen=face.seen(self._check_every),
            confidence=fit_confidence(face.spreads),
            frame_size=face.frame_size,
        )
