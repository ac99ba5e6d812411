"""Display of decoded pictures: orientation and pixel shape, as players apply them.

A file specifies the display of its pictures in two ways: a display matrix rotates or
mirrors them (phones, front cameras), and a sample aspect ratio is the width of a pixel
over its height (DV, DVD, broadcast). Both are applied here, the ratio first, because it
belongs to the coded picture.

- [0]: ISO/IEC 14496-12, section 6.2.2 (the matrix of a track header)
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

__all__ = ["Orientation", "display_size", "orientation_of"]

_MATRIX_BYTES = 36

_MAX_RATIO = 5
"""Sample aspect ratios beyond this, or below its inverse, count as damaged: DVDs have
64:45, half-width recordings 2:1, and no format more than 4:1."""


@dataclass(frozen=True)
class Orientation:
    """One of the eight orientations of a picture.

    Attributes:
        transposed: Swap rows and columns first.
        mirrored_x: Then swap left and right.
        mirrored_y: Finally swap top and bottom.
    """

    transposed: bool = False
    mirrored_x: bool = False
    mirrored_y: bool = False

    def apply(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Returns an image as displayed, as a contiguous copy.

        Args:
            image: uint8 array with shape (H, W) or (H, W, 3).
        """
        if self.transposed:
            image = image.swapaxes(0, 1)
        rows = slice(None, None, -1 if self.mirrored_y else 1)
        columns = slice(None, None, -1 if self.mirrored_x else 1)
        return np.array(image[rows, columns], order="C")


def orientation_of(matrix: bytes | None) -> Orientation:
    """Reads a display matrix.

    Args:
        matrix: FFmpeg's side data: nine int32 in native order, a b u c d v x y w, that
            map a point to (a x + c y, b x + d y) [0]; None if there is none.

    Returns:
        The nearest orientation; unchanged for a matrix without any direction.
    """
    if matrix is None or len(matrix) < _MATRIX_BYTES:
        return Orientation()
    a, b, _, c, d, *_ = np.frombuffer(matrix[:_MATRIX_BYTES], np.int32).tolist()
    # The one of the eight maps that is closest to the matrix.
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(mirrored_x=a < 0, mirrored_y=d < 0)
    return Orientation(transposed=True, mirrored_x=c < 0, mirrored_y=b < 0)


def display_size(
    width: int, height: int, ratio: Fraction | None, max_pixels: int
) -> tuple[int, int]:
    """Returns the size of a coded picture in square pixels.

    The shorter direction is enlarged to keep the resolution, unless that would be too
    large.

    Args:
        width: Width of the coded picture in pixels.
        height: Height of the coded picture in pixels.
        ratio: Width of a pixel over its height; None or implausible for square pixels.
        max_pixels: Largest number of pixels of the result.
    """
    if not ratio or not Fraction(1, _MAX_RATIO) <= ratio <= _MAX_RATIO or ratio == 1:
        return width, height
    wider, higher = round(width * ratio), round(height / ratio)
    enlarged = (wider, height) if ratio > 1 else (width, higher)
    if enlarged[0] * enlarged[1] <= max_pixels:
        return enlarged
    return (width, max(1, higher)) if ratio > 1 else (max(1, wider), height)
