"""An upright cut-out of one face, of one size whatever the frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["FaceChip", "face_roll"]

CHIP_SIZE = 256
"""Side of a chip in pixels."""

CHIP_FACE = 128.0
"""Side in pixels of the face's box within a chip."""


def face_roll(landmarks: NDArray[np.floating]) -> float:
    """Returns the angle in radians, clockwise on the screen, of the line of the eyes.

    Args:
        landmarks: Array with shape (68, 2): x, y in pixels.
    """
    eyes = landmarks[42:48].mean(axis=0) - landmarks[36:42].mean(axis=0)
    return float(np.arctan2(eyes[1], eyes[0]))


@dataclass(frozen=True)
class FaceChip:
    """A square cut around a face, turned upright and resized.

    The detector only knows upright faces of certain sizes, and the landmark predictor
    answers in whole pixels: on a chip, a tilted face is upright and a small one large.

    Attributes:
        image: uint8 luma with shape (256, 256); zero where the frame ends.
        centre: float64 array with shape (2,): x, y of its middle in plane pixels.
        roll: Angle of its x axis in the plane, in radians.
        scale: Chip pixels per plane pixel.
    """

    image: NDArray[np.uint8]
    centre: NDArray[np.float64]
    roll: float
    scale: float

    @classmethod
    def cut(
        cls, plane: NDArray[np.uint8], box: NDArray[np.float64], roll: float
    ) -> FaceChip:
        """Cuts the chip of a face.

        Args:
            plane: uint8 luma with shape (H, W).
            box: float64 array with shape (4,): the face's box in plane pixels.
            roll: Angle of the face in radians.
        """
        centre = (box[:2] + box[2:]) / 2
        scale = 2 * CHIP_FACE / float((box[2:] - box[:2]).sum())
        # Enough for any roll: half the diagonal of the chip.
        reach = CHIP_SIZE / scale / np.sqrt(2) + 2
        height, width = plane.shape
        left, top = np.clip(np.floor(centre - reach), 0, (width - 1, height - 1))
        right, bottom = np.clip(
            np.ceil(centre + reach), (left + 1, top + 1), (width, height)
        )
        part = plane[int(top) : int(bottom), int(left) : int(right)]
        image = Image.fromarray(np.ascontiguousarray(part))
        # Sampling alone would skip pixels of a large face.
        factor = max(1, int(1 / scale))
        if factor > 1:
            image = image.reduce(factor)
        step = 1 / (scale * factor)
        a, b = step * np.cos(roll), -step * np.sin(roll)
        x, y = (centre - (left, top)) / factor
        half = CHIP_SIZE / 2
        matrix = (a, b, x - half * (a + b), -b, a, y - half * (a - b))
        chip = image.transform(
            (CHIP_SIZE, CHIP_SIZE),
            Image.Transform.AFFINE,
            tuple(float(value) for value in matrix),
            Image.Resampling.BILINEAR,
        )
        return cls(np.asarray(chip), centre, roll, scale)

    def points_to_plane(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Moves points (..., 2) from chip pixels (edges count) to plane pixels."""
        cos, sin = np.cos(self.roll), np.sin(self.roll)
        turn = np.array([[cos, sin], [-sin, cos]])
        offset = np.asarray(points, dtype=np.float64) - CHIP_SIZE / 2
        return np.asarray(self.centre + (offset @ turn) / self.scale, dtype=np.float64)

    def box_to_plane(self, box: NDArray[np.floating]) -> NDArray[np.float64]:
        """Moves a box (4,) to plane pixels; it is upright and as large there."""
        centre = self.points_to_plane((box[:2] + box[2:]) / 2)
        half = (box[2:] - box[:2]) / 2 / self.scale
        return np.concatenate([centre - half, centre + half])
