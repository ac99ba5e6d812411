"""Square crop of a face: its box, its pixels, its landmarks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lightly_marlin.faces.boxes import face_boxes
from lightly_marlin.faces.landmarks.chip import face_roll
from lightly_marlin.faces.luma import check_frame
from lightly_marlin.faces.tracking.smoothing import smooth_gaussian

__all__ = [
    "CROP_PADDING",
    "crop_boxes",
    "crop_face",
    "landmarks_to_crop",
    "landmarks_to_source",
]

CROP_PADDING = 1.7
"""Ratio of the crop's side to the detector box's side: forehead, chin and hair fit."""

# In a clip that was already cropped closely, a wider crop would only add repeated
# edges.
_MIN_PADDING = 1.2

# The detector's box ends in the middle of the forehead; hair needs room above it.
_SHIFT_UP = 0.06

# Near the edge of the frame the crop moves inwards by up to this share of its side: the
# face is a little off the middle, but fewer edge pixels are repeated.
_MAX_SHIFT_INWARDS = 0.12

_CENTRE_SIGMA = 4.0
_SIDE_SIGMA = 8.0

# Source pixels per crop pixel that the downscaling filter reads on each side.
_FILTER_REACH = 2


def crop_boxes(
    landmarks: NDArray[np.floating],
    height: int,
    width: int,
    *,
    align_eyes: bool = False,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns the crop boxes of a face track: square, padded, smooth in time.

    Centre, side and angle are smoothed over the whole track, symmetrically in time: the
    crop neither jitters nor lags behind the face.

    Args:
        landmarks: Array with shape (n, 68, 2): x, y in source pixels.
        height: Height of the frames.
        width: Width of the frames.
        align_eyes: Rotate the crops so that the eyes are level.

    Returns:
        The boxes, float32 with shape (n, 4): x0, y0, x1, y1, before rotation around
        their middle; they may reach outside the frame. And the angles, float32 with
        shape (n,): radians, clockwise on the screen; 0 without `align_eyes`.
    """
    faces = face_boxes(landmarks)
    sides = faces[:, 2] - faces[:, 0]
    fitting = min(height, width) / float(np.median(sides))
    padding = float(np.clip(fitting, _MIN_PADDING, CROP_PADDING))
    # Sizes are ratios: smoothing their logarithm keeps them positive.
    sides = np.exp(smooth_gaussian(np.log(sides), _SIDE_SIGMA))
    angles = np.zeros(len(faces))
    if align_eyes:
        rolls = np.array([face_roll(points) for points in landmarks])
        angles = smooth_gaussian(np.unwrap(rolls), _SIDE_SIGMA)
    up = _SHIFT_UP * sides[:, None] * np.stack([np.sin(angles), -np.cos(angles)], 1)
    centres = (faces[:, :2] + faces[:, 2:]) / 2 + up
    centres = _move_inwards(centres, padding * sides, height, width)
    centres = smooth_gaussian(centres, _CENTRE_SIGMA)
    half = 0.5 * padding * sides[:, None]
    boxes = np.concatenate([centres - half, centres + half], axis=1)
    return boxes.astype(np.float32), angles.astype(np.float32)


def _move_inwards(
    centres: NDArray[np.float64], sides: NDArray[np.float64], height: int, width: int
) -> NDArray[np.float64]:
    """Moves boxes that reach outside the frame inwards, by a bounded distance.

    Args:
        centres: float64 array with shape (n, 2): x, y in pixels.
        sides: float64 array with shape (n,) in pixels.
        height: Height of the frame.
        width: Width of the frame.

    Returns:
        The moved centres; a box larger than the frame moves towards its middle.
    """
    frame = np.array([width, height], dtype=np.float64)
    margin = np.minimum(sides[:, None], frame) / 2
    inside = np.clip(centres, margin, frame - margin)
    bound = _MAX_SHIFT_INWARDS * sides[:, None]
    return centres + np.clip(inside - centres, -bound, bound)


def crop_face(
    frame: NDArray[np.uint8],
    box: NDArray[np.floating],
    size: int = 224,
    angle: float = 0.0,
) -> NDArray[np.uint8]:
    """Crops a box of a frame and resizes it.

    Args:
        frame: uint8 array with shape (H, W, 3), RGB.
        box:
            Array with shape (4,): x0, y0, x1, y1 in pixels, finite and not empty.
            Outside the frame, the edge pixels are repeated.
        size: Side of the result in pixels.
        angle: Rotation of the box around its middle in radians, clockwise on the
            screen.

    Returns:
        uint8 array with shape (size, size, 3). Downscaling averages over every source
        pixel under the box (a triangle filter as wide as the reduction requires).

    Raises:
        ValueError: If frame, box or size is invalid.
    """
    check_frame(frame)
    x0, y0, x1, y1 = _check_box(box)
    if size <= 0:
        raise ValueError(f"Invalid size {size}: must be at least 1 pixel.")
    if angle != 0.0:
        return _crop_turned(frame, (x0, y0, x1, y1), size, angle)
    reach_x = int(np.ceil(_FILTER_REACH * max(1.0, (x1 - x0) / size)))
    reach_y = int(np.ceil(_FILTER_REACH * max(1.0, (y1 - y0) / size)))
    left, top = int(np.floor(x0)) - reach_x, int(np.floor(y0)) - reach_y
    right, bottom = int(np.ceil(x1)) + reach_x, int(np.ceil(y1)) + reach_y
    patch = _patch(frame, left, top, right, bottom)
    image = Image.fromarray(np.ascontiguousarray(patch)).resize(
        (size, size),
        Image.Resampling.BILINEAR,
        box=(x0 - left, y0 - top, x1 - left, y1 - top),
        reducing_gap=2.0,
    )
    return np.asarray(image)


def _patch(
    frame: NDArray[np.uint8], left: int, top: int, right: int, bottom: int
) -> NDArray[np.uint8]:
    """Returns a rectangle of a frame, with repeated edge pixels outside it."""
    height, width = frame.shape[:2]
    if left >= 0 and top >= 0 and right <= width and bottom <= height:
        return frame[top:bottom, left:right]
    rows = np.clip(np.arange(top, bottom), 0, height - 1)
    columns = np.clip(np.arange(left, right), 0, width - 1)
    return frame[rows[:, None], columns[None]]


def _crop_turned(
    frame: NDArray[np.uint8],
    box: tuple[float, float, float, float],
    size: int,
    angle: float,
) -> NDArray[np.uint8]:
    """Rotates the part of the frame around a box, then crops the box from it."""
    x0, y0, x1, y1 = box
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    width, height = x1 - x0, y1 - y0
    reach = int(np.ceil(np.hypot(width, height) / 2)) + _FILTER_REACH
    left, top = int(np.floor(x)) - reach, int(np.floor(y)) - reach
    patch = _patch(frame, left, top, left + 2 * reach + 1, top + 2 * reach + 1)
    # At the scale of the source, rotation reads every pixel; downscaling follows.
    columns, rows = int(np.ceil(width)), int(np.ceil(height))
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    a, e = width / columns, height / rows
    matrix = (
        a * cos,
        -e * sin,
        x - left - cos * width / 2 + sin * height / 2,
        a * sin,
        e * cos,
        y - top - sin * width / 2 - cos * height / 2,
    )
    turned = Image.fromarray(np.ascontiguousarray(patch)).transform(
        (columns, rows), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
    )
    return np.asarray(
        turned.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=2.0)
    )


def _check_box(box: NDArray[np.floating]) -> tuple[float, float, float, float]:
    """Returns the four numbers of a box; raises ValueError if they do not form one."""
    values = np.asarray(box, dtype=np.float64)
    if values.shape != (4,) or not np.isfinite(values).all():
        raise ValueError(
            f"Invalid box {values.tolist()}: must be four finite numbers x0, y0, x1, "
            "y1."
        )
    x0, y0, x1, y1 = values.tolist()
    if x1 <= x0 or y1 <= y0:
        raise ValueError(
            f"Invalid box {values.tolist()}: x1 must exceed x0, and y1 exceed y0."
        )
    return x0, y0, x1, y1


def landmarks_to_crop(
    landmarks: NDArray[np.floating],
    boxes: NDArray[np.floating],
    size: int = 224,
    angles: NDArray[np.floating] | None = None,
) -> NDArray[np.float32]:
    """Moves landmarks from source pixels to the pixels of their crops.

    Args:
        landmarks: Array with shape (n, 68, 2): x, y in source pixels.
        boxes: Array with shape (n, 4): the crop boxes in source pixels.
        size: Side of the crops in pixels.
        angles: Array with shape (n,): rotation of the boxes in radians, clockwise on
            the screen; None for upright ones.

    Returns:
        float32 array with shape (n, 68, 2): x, y in crop pixels; (0, 0) is the middle
        of the top left pixel.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    corners = np.asarray(boxes, dtype=np.float64)
    centres = (corners[:, None, :2] + corners[:, None, 2:]) / 2
    scale = size / (corners[:, None, 2:] - corners[:, None, :2])
    offsets = points + 0.5 - centres
    if angles is not None:
        offsets = _turned(offsets, -np.asarray(angles, dtype=np.float64))
    return (offsets * scale + size / 2 - 0.5).astype(np.float32)


def landmarks_to_source(
    landmarks: NDArray[np.floating],
    boxes: NDArray[np.floating],
    size: int = 224,
    angles: NDArray[np.floating] | None = None,
) -> NDArray[np.float32]:
    """Inverts `landmarks_to_crop`.

    Args:
        landmarks: Array with shape (n, 68, 2): x, y in crop pixels.
        boxes: Array with shape (n, 4): the crop boxes in source pixels.
        size: Side of the crops in pixels.
        angles: Array with shape (n,): rotation of the boxes in radians, clockwise on
            the screen; None for upright ones.

    Returns:
        float32 array with shape (n, 68, 2): x, y in source pixels.
    """
    corners = np.asarray(boxes, dtype=np.float64)[:, None]
    offsets = np.asarray(landmarks, dtype=np.float64) + 0.5 - size / 2
    offsets = offsets * (corners[..., 2:] - corners[..., :2]) / size
    if angles is not None:
        offsets = _turned(offsets, np.asarray(angles, dtype=np.float64))
    centres = (corners[..., :2] + corners[..., 2:]) / 2
    return (offsets + centres - 0.5).astype(np.float32)


def _turned(
    offsets: NDArray[np.float64], angles: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Rotates offsets (n, k, 2) by angles (n,), clockwise on the screen."""
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    x, y = offsets[..., 0], offsets[..., 1]
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)
