"""Observation of a face in a single frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lightly_marlin.faces.landmarks.chip import face_roll

__all__ = ["Portrait", "Sighting", "choose_portraits"]


@dataclass(frozen=True)
class Sighting:
    """A face in one frame.

    Attributes:
        box: float64 array with shape (4,): the detector's box in plane pixels.
        landmarks: float32 array with shape (68, 2): x, y in plane pixels.
        score: Detection score, or None if no detector saw the face in this frame.
        spread: Deviation of landmark fits from other starts, as a share of the face's
            side; None if it was not measured.
    """

    box: NDArray[np.float64]
    landmarks: NDArray[np.float32]
    score: float | None
    spread: float | None = None

    @property
    def roll(self) -> float:
        """Angle of the face in radians."""
        return face_roll(self.landmarks)


@dataclass(frozen=True)
class Portrait:
    """A clear picture of a face.

    Attributes:
        index: Frames since the first one of the follower.
        image: uint8 luma with shape (150, 150), upright.
    """

    index: int
    image: NDArray[np.uint8]


def choose_portraits(portraits: Sequence[Portrait], count: int) -> list[Portrait]:
    """Returns up to `count` portraits at even distances, each once."""
    last = len(portraits) - 1
    places = np.linspace(0, last, count).round().astype(int) if portraits else ()
    return [portraits[place] for place in sorted(set(places))]
