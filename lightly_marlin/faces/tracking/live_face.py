"""Face of the current scene, tracked backwards and forwards from its detection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lightly_marlin.faces.detection.sighting import Sighting
from lightly_marlin.faces.tracking.follower import FaceFollower
from lightly_marlin.faces.tracking.trajectory import Trajectory

__all__ = ["LiveFace"]


@dataclass
class LiveFace:
    """A face that is being tracked.

    Attributes:
        first_seen: The frame in which the follower started.
        past: The follower that tracked it backwards from there.
        follower: The follower that tracks it forwards.
    """

    first_seen: int
    past: FaceFollower
    follower: FaceFollower

    def __post_init__(self) -> None:
        # The first sighting is also that of the follower.
        self.earlier: list[Sighting] = _without_tail(self.past)[:0:-1]

    @property
    def start(self) -> int:
        """The first frame of the face."""
        return self.first_seen - len(self.earlier)

    def box_at(self, frame: int) -> NDArray[np.float64] | None:
        """Returns the box (4,) in a frame, in plane pixels, or None."""
        sightings = self.follower.sightings
        index = frame - self.first_seen
        if -len(self.earlier) <= index < 0:
            return self.earlier[index].box
        return sightings[index].box if 0 <= index < len(sightings) else None

    def trajectory(
        self, scene: int, scale: float, frame_size: tuple[int, int]
    ) -> Trajectory:
        """Returns where the face was in source pixels.

        Args:
            scene: Index of the scene.
            scale: Plane pixels per source pixel.
            frame_size: Height and width of the scene's frames in source pixels.
        """
        offset, later = len(self.earlier), _without_tail(self.follower)
        return Trajectory.from_sightings(
            self.earlier + later,
            scene=scene,
            start=self.start,
            scale=scale,
            portraits=self.follower.portraits_from(offset, len(later)),
            touches=[
                index + offset for index in self.follower.touches if index < len(later)
            ],
            frame_size=frame_size,
        )


def _without_tail(follower: FaceFollower) -> list[Sighting]:
    """Drops the final frames that were tracked without any detection."""
    sightings = follower.sightings
    if follower.is_certain:
        return sightings
    last = max(i for i, one in enumerate(sightings) if one.score is not None)
    return sightings[: last + 1]
