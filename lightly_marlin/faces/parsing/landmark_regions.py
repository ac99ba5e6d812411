"""Maps of the 11 LaPa regions, drawn from 68 landmarks.

Landmarks locate brows, eyes, nose, mouth and jaw, but nothing above the brows, so
forehead and hair are estimated from the proportions of a face; a segmentation network
(`TorchScriptParser`) sees them.

- [0]: LaPa, 2020, https://arxiv.org/abs/2001.08140 (the labels)
- [1]: 300 Faces In-The-Wild Challenge, 2016 (the order of the landmarks)
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from lightly_marlin.faces.landmarks.head_pose import head_poses
from lightly_marlin.faces.tracking.track import NUM_LANDMARKS
from lightly_marlin.regions import Label

__all__ = ["regions_from_landmarks"]

_Points = NDArray[np.float64]

# Shares of the distance from chin to brows. A face is three thirds high, and hair
# covers a part of the upper one; it rises above the forehead and ends at the ears.
_FOREHEAD = 0.40
_HAIR_ABOVE = 0.30
_HAIR_BESIDE = 0.13

# The hairline lies behind the brows and the crown far behind them, as shares of that
# distance: when a head turns, both move towards the visible side. On that side the back
# of the head comes into view; on the other the hair disappears at this angle.
_FOREHEAD_BEHIND = 0.12
_CROWN_BEHIND = 0.35
_HEAD_BEHIND = 0.45
_HAIR_HIDDEN = np.deg2rad(30.0)

# Extent of the hair below the line of the ears, as an angle of its arc.
_HAIR_DROP = np.deg2rad(12.0)

# The landmarks of a brow follow its upper edge [1]; shares of the brow's length.
_BROW_UP = 0.06
_BROW_DOWN = 0.16

# Polygons are drawn in whole pixels of at most this many frame sizes beyond the frame.
_FAR = 4


def regions_from_landmarks(
    landmarks: NDArray[np.floating], height: int, width: int
) -> NDArray[np.uint8]:
    """Draws region maps.

    Args:
        landmarks:
            Array with shape (T, 68, 2): x, y in pixels of the map, finite; may lie
            outside it.
        height: Height of the maps in pixels.
        width: Width of the maps in pixels.

    Returns:
        uint8 array with shape (T, height, width) of LaPa labels in [0, 10]. Left and
        right are those of the image: label 2 is the brow of landmarks 17 to 21.

    Raises:
        ValueError: If landmarks or size are invalid.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    if points.ndim != 3 or points.shape[1:] != (NUM_LANDMARKS, 2):
        raise ValueError(
            f"Invalid shape of landmarks {points.shape}: must be (T, 68, 2)."
        )
    if not np.isfinite(points).all():
        raise ValueError("Invalid landmarks: all coordinates must be finite.")
    if height <= 0 or width <= 0:
        raise ValueError(f"Invalid size {height}x{width}: must be at least 1x1 pixel.")
    regions = np.empty((len(points), height, width), dtype=np.uint8)
    yaws = np.deg2rad(head_poses(points)[:, 0]).tolist()
    for region, face, yaw in zip(regions, points, yaws, strict=True):
        region[:] = _draw_face(face, yaw, height, width)
    return regions


def _draw_face(face: _Points, yaw: float, height: int, width: int) -> NDArray[np.uint8]:
    """Draws one face (68, 2), the parts in front last."""
    image = Image.new("L", (width, height), int(Label.BACKGROUND))
    draw = ImageDraw.Draw(image)
    far = _FAR * max(height, width)
    for label, polygon in _polygons(face, yaw):
        corners = np.clip(polygon, -far, far)
        draw.polygon([tuple(corner) for corner in corners.tolist()], fill=int(label))
    return np.asarray(image)


def _polygons(face: _Points, yaw: float) -> Iterator[tuple[Label, _Points]]:
    """Yields the labels of a face (68, 2) and their outlines (n, 2), back to front."""
    jaw = face[0:17]
    yield Label.HAIR, _hair(face, yaw)
    yield Label.SKIN, np.concatenate([jaw, _forehead(face, yaw)])
    yield Label.LEFT_EYEBROW, _brow(face, face[17:22])
    yield Label.RIGHT_EYEBROW, _brow(face, face[22:27])
    yield Label.LEFT_EYE, face[36:42]
    yield Label.RIGHT_EYE, face[42:48]
    yield Label.NOSE, _nose(face)
    yield Label.UPPER_LIP, np.concatenate([face[48:55], face[64:59:-1]])
    yield Label.LOWER_LIP, np.concatenate([face[54:60], face[[48, 60]], face[67:63:-1]])
    yield Label.INNER_MOUTH, face[60:68]


def _up(face: _Points) -> _Points:
    """Returns the vector from the chin to the middle of the brows."""
    up: _Points = face[17:27].mean(axis=0) - face[8]
    return up


def _arc(
    face: _Points,
    above: float,
    beside: tuple[float, float],
    lean: float,
    drop: float,
) -> _Points:
    """Returns half an ellipse over the face, from its right end to its left end.

    Args:
        face: The landmarks.
        above: Rise above the forehead, as a share of the distance chin to brows.
        beside: Extent beyond the left and right end of the jaw, as such a share.
        lean: Shift of its top to the right, as such a share.
        drop: Continuation below the ends of the jaw, in radians.
    """
    up = _up(face)
    middle = (face[0] + face[16]) / 2
    across = (face[16] - face[0]) / 2
    unit = across / max(float(np.linalg.norm(across)), 1e-6)
    share = float(np.linalg.norm(up)) * unit
    top = face[17:27].mean(axis=0) + (_FOREHEAD + above) * up - middle + lean * share
    angles = np.linspace(-drop, np.pi + drop, 24)[:, None]
    cosines = np.cos(angles)
    sides = across + np.where(cosines > 0, beside[1], beside[0]) * share
    arc: _Points = middle + cosines * sides + np.sin(angles) * top
    return arc


def _forehead(face: _Points, yaw: float) -> _Points:
    """Returns the upper outline of the skin."""
    return _arc(face, 0.0, (0.0, 0.0), -_FOREHEAD_BEHIND * np.sin(yaw), 0.0)


def _hair(face: _Points, yaw: float) -> _Points:
    """Returns the outline of the hair; the skin is drawn over its inner part."""
    turn = abs(np.sin(yaw))
    seen = _HAIR_BESIDE + _HEAD_BEHIND * turn
    hidden = _HAIR_BESIDE * max(0.0, 1 - abs(yaw) / _HAIR_HIDDEN)
    # A face that turns to the right of the image shows the left of its head.
    beside = (seen, hidden) if yaw > 0 else (hidden, seen)
    lean = -_CROWN_BEHIND * np.sin(yaw)
    return _arc(face, _HAIR_ABOVE, beside, lean, _HAIR_DROP)


def _brow(face: _Points, brow: _Points) -> _Points:
    """Returns the outline of a brow (5, 2), thinner towards its ends."""
    up = _up(face)
    up = up / max(float(np.linalg.norm(up)), 1e-6)
    length = float(np.linalg.norm(brow[-1] - brow[0]))
    thickness = length * np.array([0.5, 1.0, 1.0, 1.0, 0.8])[:, None]
    upper = brow + _BROW_UP * thickness * up
    lower = brow - _BROW_DOWN * thickness * up
    return np.concatenate([upper, lower[::-1]])


def _nose(face: _Points) -> _Points:
    """Returns the outline of the nose, its wings beyond the outer nostril landmarks."""
    left, right = face[31] - face[33], face[35] - face[33]
    bridge = face[[27, 28, 29]]
    width = np.array([0.35, 0.4, 0.6])[:, None]
    wings_left = face[31] + 0.35 * left + 0.25 * (face[30] - face[33])
    wings_right = face[35] + 0.35 * right + 0.25 * (face[30] - face[33])
    return np.concatenate(
        [
            bridge + width * left,
            wings_left[None],
            face[31:36],
            wings_right[None],
            (bridge + width * right)[::-1],
        ]
    )
