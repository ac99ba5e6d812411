"""Raw path of a face through one scene, before smoothing into a track."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lightly_marlin.faces.boxes import box_iou, face_boxes
from lightly_marlin.faces.detection.sighting import Portrait, Sighting

__all__ = ["Trajectory", "join_trajectories"]

_SAME_FACE_IOU = 0.35


def _no_spreads() -> NDArray[np.float32]:
    return np.empty(0, dtype=np.float32)


@dataclass(frozen=True)
class Trajectory:
    """Landmarks of one face over consecutive frames of one scene.

    Attributes:
        scene: Index of the scene; trajectories are joined within a scene only.
        start: The first frame.
        landmarks: float32 array with shape (n, 68, 2): x, y in source pixels.
        scores:
            float32 array with shape (n,): detection scores, NaN in frames in which no
            detector saw the face.
        spreads:
            float32 array with shape (n,): deviation of the landmark fits, NaN in frames
            in which it was not measured, by default in all.
        portraits: Pictures of the face; their indices count from `start`.
        touches: Frames, counted from `start`, with another face nearby.
        frame_size: Height and width of the scene's frames in pixels.
    """

    scene: int
    start: int
    landmarks: NDArray[np.float32]
    scores: NDArray[np.float32]
    spreads: NDArray[np.float32] = field(default_factory=_no_spreads)
    portraits: tuple[Portrait, ...] = ()
    touches: tuple[int, ...] = ()
    frame_size: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        """Completes the default."""
        if len(self.spreads) == 0:
            unknown = np.full(len(self.scores), np.nan, dtype=np.float32)
            object.__setattr__(self, "spreads", unknown)

    @classmethod
    def from_sightings(
        cls,
        sightings: Sequence[Sighting],
        *,
        scene: int,
        start: int,
        scale: float,
        portraits: Sequence[Portrait] = (),
        touches: Sequence[int] = (),
        frame_size: tuple[int, int] = (0, 0),
    ) -> Trajectory:
        """Makes a trajectory from sightings.

        Args:
            sightings: One per frame, at least one.
            scene: Index of the scene.
            start: Frame of the first sighting.
            scale: Plane pixels per source pixel.
            portraits: Pictures of the face; their indices count from `start`.
            touches: Frames, counted from `start`, with another face nearby.
            frame_size: Height and width of the scene's frames in pixels.
        """
        points = np.stack([sighting.landmarks for sighting in sightings])
        # Pixel centres are half a pixel inside their edges, at every scale.
        landmarks = ((points + 0.5) / scale - 0.5).astype(np.float32)
        return cls(
            scene,
            start,
            landmarks,
            _or_nan([sighting.score for sighting in sightings]),
            _or_nan([sighting.spread for sighting in sightings]),
            tuple(portraits),
            tuple(touches),
            frame_size,
        )

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return len(self.scores)

    @property
    def end(self) -> int:
        """One past the last frame."""
        return self.start + self.num_frames

    @property
    def num_detected(self) -> int:
        """Number of frames in which a detector saw the face."""
        return int(np.count_nonzero(~np.isnan(self.scores)))

    def seen(self, reach: int) -> NDArray[np.bool_]:
        """Returns, (n,), whether a detector saw the face within `reach` frames."""
        hits = np.flatnonzero(~np.isnan(self.scores))
        seen = np.zeros(self.num_frames, dtype=bool)
        for hit in hits:
            seen[max(0, hit - reach) : hit + reach + 1] = True
        return seen

    def box_at(self, frame: int) -> NDArray[np.float64] | None:
        """Returns the face's box (4,) in a frame, or None outside the trajectory."""
        if not self.start <= frame < self.end:
            return None
        index = frame - self.start
        box: NDArray[np.float64] = face_boxes(self.landmarks[index : index + 1])[0]
        return box

    def part(self, first: int, last: int) -> Trajectory:
        """Returns the frames [first, last), counted from `start`."""
        return Trajectory(
            self.scene,
            self.start + first,
            self.landmarks[first:last],
            self.scores[first:last],
            self.spreads[first:last],
            tuple(
                Portrait(one.index - first, one.image)
                for one in self.portraits
                if first <= one.index < last
            ),
            tuple(index - first for index in self.touches if first <= index < last),
            self.frame_size,
        )


def _or_nan(values: Sequence[float | None]) -> NDArray[np.float32]:
    return np.array(
        [np.nan if value is None else value for value in values], dtype=np.float32
    )


def join_trajectories(
    trajectories: Sequence[Trajectory],
    max_gap: int,
    may_be_same: Callable[[Trajectory, Trajectory], bool] = lambda *_: True,
) -> list[Trajectory]:
    """Joins pieces of the same face and fills the frames between them.

    Args:
        trajectories: Pieces in any order.
        max_gap: Longest gap, in frames, that is filled by interpolation.
        may_be_same: Predicate whether two pieces, the earlier first, may be one person.

    Returns:
        The trajectories, sorted by start.
    """
    joined: list[Trajectory] = []
    for piece in sorted(trajectories, key=lambda piece: piece.start):
        partners = [
            index
            for index, earlier in enumerate(joined)
            if earlier.scene == piece.scene
            and 0 <= piece.start - earlier.end <= max_gap
            and _same_place(earlier, piece)
            and may_be_same(earlier, piece)
        ]
        if partners:
            nearest = max(partners, key=lambda index: joined[index].end)
            joined[nearest] = _join(joined[nearest], piece)
        else:
            joined.append(piece)
    return sorted(joined, key=lambda piece: piece.start)


def _same_place(earlier: Trajectory, later: Trajectory) -> bool:
    """Returns whether the end of one and the start of the other overlap enough."""
    first, second = face_boxes(
        np.stack([earlier.landmarks[-1], later.landmarks[0]]),
    )
    return bool(box_iou(first[None], second[None])[0, 0] > _SAME_FACE_IOU)


def _join(earlier: Trajectory, later: Trajectory) -> Trajectory:
    """Appends `later`, interpolating the landmarks of the frames between."""
    gap = later.start - earlier.end
    weights = (np.arange(1, gap + 1) / (gap + 1))[:, None, None]
    first, last = earlier.landmarks[-1], later.landmarks[0]
    between = ((1 - weights) * first + weights * last).astype(np.float32)
    unseen = np.full(gap, np.nan, dtype=np.float32)
    offset = later.start - earlier.start
    return Trajectory(
        earlier.scene,
        earlier.start,
        np.concatenate([earlier.landmarks, between, later.landmarks]),
        np.concatenate([earlier.scores, unseen, later.scores]),
        np.concatenate([earlier.spreads, unseen, later.spreads]),
        earlier.portraits
        + tuple(Portrait(one.index + offset, one.image) for one in later.portraits),
        earlier.touches + tuple(index + offset for index in later.touches),
        earlier.frame_size,
    )
