"""Confidence of fitted landmarks: the spread of fits from displaced boxes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lightly_marlin.faces.boxes import box_side, face_boxes
from lightly_marlin.faces.detection.detector import LandmarkPredictor

__all__ = ["MAX_SPREAD", "fit_confidence", "fit_spread"]

MAX_SPREAD = 0.05
"""Spread at and above which landmarks have no confidence.

In 12 clips, detected faces had 0.003 to 0.018, in profile 0.015; covered faces and
false detections had 0.025 to 0.075.
"""

# Displaced starts: shift in x and y, and size, in units of the face's box.
_STARTS = ((0.08, -0.05, 1.08), (-0.08, 0.05, 0.93))


def fit_spread(
    predictor: LandmarkPredictor,
    image: NDArray[np.uint8],
    landmarks: NDArray[np.floating],
) -> float:
    """Fits landmarks from displaced boxes and compares the results.

    The predictor is a cascade of corrections: on a face, nearby starts converge to the
    same points; elsewhere they diverge.

    Args:
        predictor: The landmark predictor.
        image: uint8 luma with shape (H, W).
        landmarks: Array with shape (68, 2): the face, x, y in pixels.

    Returns:
        Mean distance of the fits' points to their mean, as a share of the face's side.
    """
    box = face_boxes(landmarks[None])[0]
    side = box_side(box)
    starts = np.empty((len(_STARTS), 4))
    for start, (x, y, size) in zip(starts, _STARTS, strict=True):
        centre = (box[:2] + box[2:]) / 2 + side * np.array([x, y])
        start[:2], start[2:] = centre - size * side / 2, centre + size * side / 2
    fits = np.concatenate([landmarks[None], predictor(image, starts)])
    distances = np.linalg.norm(fits - fits.mean(axis=0), axis=-1)
    return float(distances.mean()) / max(side, 1e-6)


def fit_confidence(spread: NDArray[np.floating]) -> NDArray[np.float32]:
    """Returns the confidence in [0, 1] of spreads: 1 at 0, 0 from `MAX_SPREAD` on."""
    return np.clip(1 - np.asarray(spread) / MAX_SPREAD, 0, 1).astype(np.float32)
