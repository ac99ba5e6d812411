"""Regions in their colours over face crops."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from lightly_marlin.regions import CELL_SIZE, NUM_LABELS, Label
from lightly_marlin.visualization.mask_overlay import REGION_COLORS, front_labels

__all__ = ["paint_cells", "paint_labels"]

_STRENGTH = 0.55

_COLORS = np.array([REGION_COLORS[Label(index)] for index in range(NUM_LABELS)]) * 255


def paint_labels(
    crop: NDArray[np.uint8], labels: NDArray[np.integer]
) -> NDArray[np.uint8]:
    """Paints a label map over a crop; background stays as it is.

    Args:
        crop: uint8 array with shape (H, W, 3), RGB.
        labels: Integer array with shape (H, W) of LaPa labels in [-1, 10].

    Returns:
        uint8 array with shape (H, W, 3).
    """
    strength = np.where(labels > Label.BACKGROUND, _STRENGTH, 0.0)[..., None]
    painted = crop * (1 - strength) + _COLORS[np.maximum(labels, 0)] * strength
    return np.asarray(painted.round(), dtype=np.uint8)


def paint_cells(
    crop: NDArray[np.uint8], bits: NDArray[np.integer]
) -> NDArray[np.uint8]:
    """Paints region cells over a crop, the rarest label of each in front.

    Args:
        crop: uint8 array with shape (H, W, 3), RGB.
        bits: Bit masks with shape (H / 8, W / 8), see `RegionCells`.

    Returns:
        uint8 array with shape (H, W, 3).
    """
    front = front_labels(torch.from_numpy(bits.astype(np.int32))).numpy()
    side = np.ones((CELL_SIZE, CELL_SIZE), dtype=front.dtype)
    return paint_labels(crop, np.kron(front, side))
