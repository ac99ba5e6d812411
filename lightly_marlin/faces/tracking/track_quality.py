"""Quality measures of a face track: light, sharpness, pose, steadiness.

They are measured while a track is written, so users can select tracks by them later
without reading a single frame again.

- [0]: Pech-Pacheco et al., Diatom autofocusing in brightfield microscopy: a comparative
    study, 2000 (variance of the Laplacian as a measure of focus)
- [1]: Pertuz et al., Analysis of focus measure operators for shape-from-focus, 2013
    (LAPV, and normalising by the variance of the grey levels)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lightly_marlin.faces.boxes import face_boxes
from lightly_marlin.faces.landmarks.head_pose import head_poses

__all__ = [
    "Appearance",
    "AppearanceMeter",
    "TrackGeometry",
    "box_jitter",
    "mean_confidence",
    "measure_geometry",
]

_MEASURE_EVERY = 4
"""Interval of measured frames. Light and focus change slowly, and measuring each frame
would cost as much as a crop."""

# One grey level is the step of the pixels themselves: less contrast counts as none.
_LEAST_CONTRAST = 1.0

_MIN_FACE = 8
"""Side in crop pixels below which a box holds too little of a face to measure."""


@dataclass(frozen=True)
class Appearance:
    """Appearance of a track's faces; medians over the measured frames.

    Attributes:
        sharpness:
            Standard deviation of the 4-neighbour Laplacian of the luma under the face's
            box, over the contrast there [0], [1]; in [0, 8]. It is measured in pixels
            of the 224x224 crop, so a small face, enlarged, has low sharpness: below
            about 0.1 the face is blurred, above 0.2 it is crisp. Noise and strong JPEG
            blocks count as detail.
        brightness: Mean luma under the face's box, in [0, 255].
        contrast: Standard deviation of that luma, in grey levels.
    """

    sharpness: float
    brightness: float
    contrast: float


class AppearanceMeter:
    """Measures the crops of one track as they arrive in batches.

    Every fourth frame is measured; only three numbers per measured frame are kept.
    """

    def __init__(self) -> None:
        self._seen = 0
        self._values: list[tuple[float, float, float]] = []

    def update(self, crops: NDArray[np.uint8], landmarks: NDArray[np.floating]) -> None:
        """Adds the next crops.

        Args:
            crops: uint8 array with shape (n, H, W, 3), RGB.
            landmarks: Array with shape (n, 68, 2): x, y in crop pixels.
        """
        first = -self._seen % _MEASURE_EVERY
        chosen = slice(first, None, _MEASURE_EVERY)
        self._seen += len(crops)
        height, width = crops.shape[1:3]
        boxes = np.clip(
            face_boxes(landmarks[chosen]).round(), 0, (width, height, width, height)
        )
        for crop, box in zip(crops[chosen], boxes.astype(int), strict=True):
            x0, y0, x1, y1 = box.tolist()
            if min(x1 - x0, y1 - y0) >= _MIN_FACE:
                self._values.append(_measure(crop[y0:y1, x0:x1]))

    def finish(self) -> Appearance:
        """Returns the medians; zeros if no frame showed a face large enough."""
        values = self._values or [(0.0, 0.0, 0.0)]
        sharpness, brightness, contrast = np.median(values, axis=0).tolist()
        return Appearance(sharpness, brightness, contrast)


def _measure(face: NDArray[np.uint8]) -> tuple[float, float, float]:
    """Returns sharpness, brightness and contrast of a face (h, w, 3)."""
    plane = Image.fromarray(np.ascontiguousarray(face)).convert("L")
    # Sums of up to four grey levels of either sign fit into 16 bits.
    luma = np.asarray(plane).astype(np.int16)
    laplacian = luma[1:-1, :-2] + luma[1:-1, 2:] + luma[:-2, 1:-1] + luma[2:, 1:-1]
    laplacian -= 4 * luma[1:-1, 1:-1]
    brightness, contrast = float(luma.mean()), float(luma.std())
    detail = float(laplacian.std())
    return detail / max(contrast, _LEAST_CONTRAST), brightness, contrast


@dataclass(frozen=True)
class TrackGeometry:
    """Size, pose and steadiness of a face over its track.

    Attributes:
        face_width: Median side of the face's own box, without padding, in pixels.
        yaw: Median yaw in degrees, positive towards the right of the image.
        pitch: Median pitch in degrees, positive upwards.
        roll: Median roll in degrees, positive clockwise.
        max_abs_yaw: Largest absolute yaw in degrees.
        box_jitter: Jitter of the crop box, as the function `box_jitter` defines it.
    """

    face_width: float
    yaw: float
    pitch: float
    roll: float
    max_abs_yaw: float
    box_jitter: float


def measure_geometry(
    landmarks: NDArray[np.floating], boxes: NDArray[np.floating]
) -> TrackGeometry:
    """Measures size, pose and steadiness from landmarks and boxes.

    Args:
        landmarks: Array with shape (n, 68, 2): x, y in source pixels, n >= 1.
        boxes: Array with shape (n, 4): the crop boxes in source pixels.

    Returns:
        The measurements, in source pixels and degrees.
    """
    faces = face_boxes(landmarks)
    poses = head_poses(landmarks)
    face_width = float(np.median(faces[:, 2] - faces[:, 0]))
    yaw, pitch, roll = np.median(poses, axis=0).tolist()
    return TrackGeometry(
        face_width=face_width,
        yaw=yaw,
        pitch=pitch,
        roll=roll,
        max_abs_yaw=float(np.abs(poses[:, 0]).max()),
        box_jitter=box_jitter(boxes, face_width),
    )


def box_jitter(boxes: NDArray[np.floating], face_width: float) -> float:
    """Returns the jitter of a box.

    Steady motion in a line has none; a box that jumps back and forth by a hundredth of
    the face from frame to frame has 0.04.

    Args:
        boxes: Array with shape (n, 4): x0, y0, x1, y1 in pixels.
        face_width: Width of the face in pixels, positive.

    Returns:
        Mean length of the second difference of the centre, frame to frame, in units of
        the face's width; 0 for fewer than three frames.
    """
    corners = np.asarray(boxes, dtype=np.float64)
    centres = (corners[:, :2] + corners[:, 2:]) / 2
    if len(centres) < 3:
        return 0.0
    lengths = np.linalg.norm(np.diff(centres, n=2, axis=0), axis=1)
    return float(lengths.mean()) / max(face_width, 1e-6)


def mean_confidence(confidence: NDArray[np.floating]) -> float | None:
    """Returns the mean of the frames in which a confidence was measured.

    Args:
        confidence: Array with shape (n,) in [0, 1]; NaN where it was not measured.

    Returns:
        The mean in [0, 1], or None if no frame was measured.
    """
    measured = np.asarray(confidence, dtype=np.float64)
    measured = measured[~np.isnan(measured)]
    return float(measured.mean()) if len(measured) else None
