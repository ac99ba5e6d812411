"""Thumbnail of a frame in 32x24 cells, to detect and locate changes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["THUMBNAIL_SIZE", "thumbnail"]

THUMBNAIL_SIZE = (32, 24)
"""Width and height of a thumbnail in cells."""

# Pixels per cell and axis that are averaged; a cell of a large frame has more.
_SAMPLES = 8


def thumbnail(plane: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Returns the mean grey of each cell of a frame.

    Args:
        plane: uint8 luma with shape (H, W).

    Returns:
        float32 array with shape (24, 32) in [0, 255].
    """
    width, height = THUMBNAIL_SIZE
    step = max(1, min(plane.shape[0] // height, plane.shape[1] // width) // _SAMPLES)
    image = Image.fromarray(np.ascontiguousarray(plane[::step, ::step]))
    small = image.resize(THUMBNAIL_SIZE, Image.Resampling.BOX, reducing_gap=1.0)
    return np.asarray(small, dtype=np.float32)
