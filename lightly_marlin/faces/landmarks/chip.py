"""Upright chip of one face, with a fixed size for any frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["CHIP_FACE", "CHIP_SIZE", "FaceChip", "face_roll"]

CHIP_SIZE = 192
"""Side of a chip in pixels."""

CHIP_FACE = 128.0
"""Side in pixels of the face's box within a chip."""

# The detector and the landmarks treat a face with less tilt as upright.
_MIN_ROLL = 0.12

# The landmark predictor compares differences of pixels with fixed numbers of grey
# levels, so a face in the dark or in fog has to be given the contrast of one in good
# light. In the middle half of chips of clear clips, the standard deviation is 18 to 45
# grey levels; landmarks sit worse below 20, and equally well from 25 to 60. Contrast is
# mirrored at 20, so that it does not jump where a face grows darker.
_LEAST_CONTRAST = 20.0

# Below, there is nothing but noise to be stretched; a bright face is not to end white.
_FLAT = 5.0
_BRIGHTEST_MEAN = 160.0


def face_roll(landmarks: NDArray[np.floating]) -> float:
    """Returns the angle of the line between the eyes: radians, clockwise on the screen.

    Args:
        landmarks: Array with shape (68, 2): x, y in pixels.
    """
    eyes = landmarks[42:48].mean(axis=0) - landmarks[36:42].mean(axis=0)
    return float(np.arctan2(eyes[1], eyes[0]))


@dataclass(frozen=True)
class FaceChip:
    """A square cut around a face, turned upright, resized, and with enough contrast.

    The detector only finds upright faces of certain sizes, and the landmark predictor
    returns whole pixels: on a chip, a tilted face is upright and a small one is large.

    Attributes:
        image: uint8 luma with shape (192, 192), stretched where the face has little
            contrast; dark where the frame ends.
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
        if abs(roll) < _MIN_ROLL:
            roll = 0.0
            image = _cut_upright(plane, centre, scale)
            if image is not None:
                return cls(_stretched(image), centre, roll, scale)
        image = _stretched(_cut_turned(plane, centre, scale, roll))
        return cls(image, centre, roll, scale)

    def points_to_plane(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Moves points (..., 2) from chip pixels (edges count) to plane pixels."""
        cos, sin = np.cos(self.roll), np.sin(self.roll)
        turn = np.array([[cos, sin], [-sin, cos]])
        offset = np.asarray(points, dtype=np.float64) - CHIP_SIZE / 2
        return np.asarray(self.centre + (offset @ turn) / self.scale, dtype=np.float64)

    def points_to_chip(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Moves points (..., 2) from plane pixels (edges count) to chip pixels."""
        cos, sin = np.cos(self.roll), np.sin(self.roll)
        turn = np.array([[cos, -sin], [sin, cos]])
        offset = (np.asarray(points, dtype=np.float64) - self.centre) * self.scale
        return np.asarray(offset @ turn + CHIP_SIZE / 2, dtype=np.float64)

    def box_to_plane(self, box: NDArray[np.floating]) -> NDArray[np.float64]:
        """Moves a box (4,) to plane pixels, where it is upright with a scaled side."""
        centre = self.points_to_plane((box[:2] + box[2:]) / 2)
        half = (box[2:] - box[:2]) / 2 / self.scale
        return np.concatenate([centre - half, centre + half])


def _stretched(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns a chip (192, 192) whose face has at least the contrast that is needed."""
    quarter = CHIP_SIZE // 4
    face = image[quarter:-quarter:4, quarter:-quarter:4].ravel().astype(np.float64)
    # Three times as fast as numpy's mean and std, and every fit comes by here.
    mean = float(face.sum()) / len(face)
    contrast = max(float(face @ face) / len(face) - mean * mean, 0.0) ** 0.5
    if not _FLAT < contrast < _LEAST_CONTRAST:
        return image
    gain = (2 * _LEAST_CONTRAST - contrast) / contrast
    # Black stays black unless the face would become too bright.
    offset = min(0.0, _BRIGHTEST_MEAN - gain * mean)
    levels = np.arange(256) * gain + offset
    table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    pixels = image.tobytes().translate(table.tobytes())
    return np.frombuffer(pixels, dtype=np.uint8).reshape(image.shape)


def _cut_upright(
    plane: NDArray[np.uint8], centre: NDArray[np.float64], scale: float
) -> NDArray[np.uint8] | None:
    """Returns the chip of an upright face that lies inside the plane, else None."""
    height, width = plane.shape
    reach = CHIP_SIZE / 2 / scale
    x0, y0 = (centre - reach).tolist()
    x1, y1 = (centre + reach).tolist()
    # The filter reads slightly beyond the box.
    border = 2 + int(2 / scale)
    left, top = int(x0) - border, int(y0) - border
    right, bottom = int(x1) + border, int(y1) + border
    if left < 0 or top < 0 or right > width or bottom > height:
        return None
    image = Image.fromarray(np.ascontiguousarray(plane[top:bottom, left:right]))
    chip = image.resize(
        (CHIP_SIZE, CHIP_SIZE),
        Image.Resampling.BILINEAR,
        box=(x0 - left, y0 - top, x1 - left, y1 - top),
        reducing_gap=1.5,
    )
    return np.asarray(chip)


def _cut_turned(
    plane: NDArray[np.uint8], centre: NDArray[np.float64], scale: float, roll: float
) -> NDArray[np.uint8]:
    """Returns the chip of a face that is tilted, or reaches outside the plane."""
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
    return np.asarray(chip)
