"""Paste-back of generated mouths into the frames that their crops came from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lightly_marlin.faces.crop import landmarks_to_crop, landmarks_to_source

__all__ = ["mouth_mask", "paste_mouth"]

_SOFT_SIDES, _SOFT_ENDS = 1 / 4, 1 / 8
"""Widths of the soft edges of the mask, in sides of the crop. Beside the face, there is
background, of which the generator should draw little; chin and nose are close to the
lower and the upper edge."""

# The lower half of a crop, which the generator draws; (0, 0) is the crop's middle.
_CORNERS = np.array([[-0.5, 0], [0.5, 0], [-0.5, 0.5], [0.5, 0.5]])


def mouth_mask(x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.float32]:
    """Returns the weight of generated pixels by their place in the crop.

    1 inside the lower half of the crop, 0 outside it, and in between a smooth slope
    along all four edges, so that neither values nor their gradients jump.

    Args:
        x: Places from the crop's left edge (-0.5) to its right edge (0.5).
        y: Places from the crop's top edge (-0.5) to its bottom edge (0.5), of a shape
            that broadcasts with `x`.

    Returns:
        float32 array in [0, 1].
    """
    sides = _slope((0.5 - np.abs(x)) / _SOFT_SIDES)
    ends = _slope(y / _SOFT_ENDS) * _slope((0.5 - y) / _SOFT_ENDS)
    mask: NDArray[np.float32] = (sides * ends).astype(np.float32)
    return mask


def paste_mouth(
    frame: NDArray[np.uint8],
    crop: NDArray[np.uint8],
    box: NDArray[np.floating],
    angle: float = 0.0,
) -> NDArray[np.uint8]:
    """Puts the mouth of a generated crop into a frame: inverts `crop_face`.

    Args:
        frame: uint8 array with shape (H, W, 3), RGB; not changed.
        crop: uint8 array with shape (S, S, 3), RGB, of any size.
        box: Array with shape (4,): x0, y0, x1, y1 of the crop's square in pixels of the
            frame; may reach outside it.
        angle: Rotation of the box around its middle in radians, clockwise on the
            screen.

    Returns:
        A copy of the frame, blended by `mouth_mask`; where the mask is 0, the pixels
        are those of the frame, bit by bit.
    """
    result: NDArray[np.uint8] = frame.copy()
    angles = np.array([angle])
    corners = landmarks_to_source(_CORNERS[None], box[None], 1, angles)[0]
    # Pixels that the edges cut are left out: their weight is next to nothing.
    left, top = np.maximum(np.ceil(corners.min(axis=0) + 0.5), 0).astype(int).tolist()
    right, bottom = np.floor(corners.max(axis=0) + 0.5).astype(int).tolist()
    right, bottom = min(right, frame.shape[1]), min(bottom, frame.shape[0])
    if left >= right or top >= bottom:
        return result
    rectangle = (left, top, right, bottom)
    rows, columns = np.mgrid[top:bottom, left:right]
    pixels = np.stack([columns, rows], axis=-1).reshape(1, -1, 2)
    places = landmarks_to_crop(pixels, box[None], 1, angles)
    places = places.reshape(bottom - top, right - left, 2)
    mask = mouth_mask(places[..., 0], places[..., 1])[..., None]
    if angle == 0.0:
        drawn = _upright(crop, box, rectangle)
    else:
        drawn = _turned(crop, box, rectangle, angle)
    region = result[top:bottom, left:right]
    region[:] = np.rint(region + mask * (drawn.astype(np.float32) - region))
    return result


def _slope(places: NDArray[np.floating]) -> NDArray[np.floating]:
    """Rises from 0 at 0 and below to 1 at 1 and above, smoothly."""
    result: NDArray[np.floating] = (1 - np.cos(np.pi * np.clip(places, 0, 1))) / 2
    return result


def _upright(
    crop: NDArray[np.uint8],
    box: NDArray[np.floating],
    rectangle: tuple[int, int, int, int],
) -> NDArray[np.uint8]:
    """Returns the part of a crop under a rectangle of the frame, at its scale."""
    left, top, right, bottom = rectangle
    size = len(crop)
    x0, y0, x1, y1 = np.asarray(box, np.float64).tolist()
    x, y = size / (x1 - x0), size / (y1 - y0)
    part = ((left - x0) * x, (top - y0) * y, (right - x0) * x, (bottom - y0) * y)
    # Rounding must not reach beyond the crop.
    part = tuple(min(max(value, 0.0), float(size)) for value in part)
    return np.asarray(
        Image.fromarray(np.ascontiguousarray(crop)).resize(
            (right - left, bottom - top), Image.Resampling.BICUBIC, box=part
        )
    )


def _turned(
    crop: NDArray[np.uint8],
    box: NDArray[np.floating],
    rectangle: tuple[int, int, int, int],
    angle: float,
) -> NDArray[np.uint8]:
    """Like `_upright` for a rotated box: scaled to the frame first, then turned."""
    left, top, right, bottom = rectangle
    x0, y0, x1, y1 = np.asarray(box, np.float64).tolist()
    width, height = x1 - x0, y1 - y0
    columns, rows = int(np.ceil(width)), int(np.ceil(height))
    scaled = Image.fromarray(np.ascontiguousarray(crop)).resize(
        (columns, rows), Image.Resampling.BICUBIC
    )
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    x, y = left - (x0 + x1) / 2, top - (y0 + y1) / 2
    a, e = columns / width, rows / height
    matrix = (
        a * cos,
        a * sin,
        a * (cos * x + sin * y) + columns / 2,
        -e * sin,
        e * cos,
        e * (cos * y - sin * x) + rows / 2,
    )
    turned = scaled.transform(
        (right - left, bottom - top),
        Image.Transform.AFFINE,
        matrix,
        Image.Resampling.BILINEAR,
    )
    return np.asarray(turned)
