"""Landmark fitting on an upright face of a fixed size, for any frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lightly_marlin.faces.boxes import box_side, face_boxes
from lightly_marlin.faces.detection.detector import Detection, LandmarkPredictor
from lightly_marlin.faces.detection.sighting import Sighting
from lightly_marlin.faces.landmarks.chip import (
    CHIP_FACE,
    CHIP_SIZE,
    FaceChip,
    face_roll,
)
from lightly_marlin.faces.landmarks.landmark_fit import fit_spread

__all__ = ["FaceFitter"]

# Landmarks of a face that moved by more than this share of its side, or turned by more
# than this angle, are fitted again.
_REFIT_SHIFT = 0.09
_REFIT_ROLL = 0.1

# A new face is fitted at these tilts too if its landmarks fit poorly upright.
_ROLLS = (0.6, -0.6, 1.1, -1.1)
_GOOD_SPREAD = 0.015


class FaceFitter:
    """Fits the 68 landmarks to faces, and measures the quality of the fit."""

    def __init__(self, predictor: LandmarkPredictor) -> None:
        """Takes the landmark predictor."""
        self._predictor = predictor

    def fit(
        self,
        plane: NDArray[np.uint8],
        box: NDArray[np.float64],
        roll: float,
        score: float | None = None,
    ) -> Sighting:
        """Fits landmarks in a box, and again if they place the face elsewhere.

        Args:
            plane: uint8 luma with shape (H, W).
            box: float64 array with shape (4,): expected position of the face.
            roll: Angle of the face in radians.
            score: Score of the detection; None without one.
        """
        landmarks = self.landmarks(FaceChip.cut(plane, box, roll))
        fitted, turned = face_boxes(landmarks[None])[0], face_roll(landmarks)
        moved = np.abs(fitted - box).max() > _REFIT_SHIFT * box_side(box)
        if moved or abs(turned - roll) > _REFIT_ROLL:
            landmarks = self.landmarks(FaceChip.cut(plane, fitted, turned))
            fitted = face_boxes(landmarks[None])[0]
        return Sighting(fitted, landmarks, score)

    def landmarks(self, chip: FaceChip) -> NDArray[np.float32]:
        """Returns the landmarks (68, 2) of a chip's face in plane pixels."""
        edges = 0.5 * np.array([CHIP_SIZE - CHIP_FACE, CHIP_SIZE + CHIP_FACE])
        box = edges[[0, 0, 1, 1]]
        points = self._predictor(chip.image, box[None])[0]
        return (chip.points_to_plane(points + 0.5) - 0.5).astype(np.float32)

    def fit_tilted(self, plane: NDArray[np.uint8], detection: Detection) -> Sighting:
        """Fits landmarks to a face of unknown tilt: the best of several fits."""
        best = self.measured(
            plane, self.fit(plane, detection.box, 0.0, detection.score)
        )
        for roll in _ROLLS:
            if (best.spread or 0.0) < _GOOD_SPREAD:
                break
            other = self.measured(
                plane, self.fit(plane, detection.box, roll, detection.score)
            )
            best = min(best, other, key=lambda one: one.spread or 0.0)
        return best

    def measured(self, plane: NDArray[np.uint8], sighting: Sighting) -> Sighting:
        """Returns a sighting with its spread."""
        chip = FaceChip.cut(plane, sighting.box, sighting.roll)
        landmarks = chip.points_to_chip(sighting.landmarks + 0.5) - 0.5
        spread = fit_spread(self._predictor, chip.image, landmarks)
        return replace(sighting, spread=spread)

    def better(
        self, plane: NDArray[np.uint8], first: Sighting, second: Sighting
    ) -> Sighting:
        """Returns the one of two sightings whose landmarks fit better."""
        measured = [self.measured(plane, one) for one in (first, second)]
        return min(measured, key=lambda one: one.spread or 0.0)
