"""Assembly of a video's face tracks from its raw trajectories."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from lightly_marlin.faces.crop import crop_boxes
from lightly_marlin.faces.dlib_networks import DlibEmbedder
from lightly_marlin.faces.landmark_fit import fit_confidence
from lightly_marlin.faces.people import PeopleTeller
from lightly_marlin.faces.smoothing import smooth_polynomial
from lightly_marlin.faces.track import FaceTrack
from lightly_marlin.faces.trajectory import Trajectory, join_trajectories

__all__ = ["TrackAssembly"]

# False detections come and go, and landmarks do not fit them: a real face is seen
# several times and keeps being seen, and its landmarks are reproduced from other
# starts.
_MIN_DETECTIONS = 3
_MIN_SEEN_SHARE = 0.25
_MAX_SPREAD = 0.03

_LANDMARK_WINDOW = 5


class TrackAssembly:
    """Makes tracks: splits and joins trajectories, drops false ones, numbers people."""

    def __init__(
        self,
        embedder: DlibEmbedder,
        *,
        min_frames: int,
        max_gap: int,
        check_every: int,
        align_eyes: bool,
    ) -> None:
        """Stores the options of tracks; see `FaceFinder`."""
        self._people = PeopleTeller(embedder)
        self._min_frames = min_frames
        self._max_gap = max_gap
        self._check_every = check_every
        self._align_eyes = align_eyes

    def faces(self, trajectories: Sequence[Trajectory]) -> list[Trajectory]:
        """Returns the trajectories that are faces, each of one person, without gaps.

        Args:
            trajectories: All trajectories of a video, in any order.
        """
        pieces = [
            piece
            for trajectory in trajectories
            for piece in self._people.part(trajectory)
        ]
        joined = join_trajectories(pieces, self._max_gap, self._people.may_be_same)
        return [face for face in joined if self._is_face(face)]

    def tracks(self, faces: Sequence[Trajectory]) -> list[FaceTrack]:
        """Smooths faces into tracks.

        Args:
            faces: Trajectories, as `faces` returns them.

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

    def _is_face(self, face: Trajectory) -> bool:
        """Returns whether a trajectory was seen often and clearly enough."""
        # A face in the last frames of a video had no time for more detections.
        enough = min(_MIN_DETECTIONS, 1 + face.num_frames // 3)
        if face.num_detected < enough:
            return False
        if face.seen(self._check_every).mean() < _MIN_SEEN_SHARE:
            return False
        spreads = face.spreads[~np.isnan(face.spreads)]
        return len(spreads) == 0 or float(np.mean(spreads)) <= _MAX_SPREAD

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
