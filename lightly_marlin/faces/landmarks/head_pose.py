"""Head pose from 68 landmarks.

A rigid set of 3-D points is fitted to the landmarks under scaled orthographic
projection: one matrix product gives the best affine map, and the nearest rotation to it
is the result. All frames are solved together, without iteration.

The points are the nose and the corners of the eyes. Brows, mouth and chin move with
expression, and a smile would read as a nod; the jaw's landmarks slide along the outline
of the face as it turns.

The coordinates are our own: widths and heights follow published means of adult faces
[0], adjusted to the annotated positions of the landmarks; depths are estimates from the
same proportions. They are not derived from any 3-D face model.

- [0]: Farkas, Anthropometry of the Head and Face, 1994 (means of adults)
- [1]: DeMenthon and Davis, Model-based object pose in 25 lines of code, 1995 (the fit
    under scaled orthography: POS, the first step of POSIT)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lightly_marlin.faces.tracking.track import NUM_LANDMARKS

__all__ = ["head_poses"]

# Millimetres from the base of the nose: x to the right of the image, y down, z away
# from the camera, for a face that looks straight at it.
_HALF_FACE: dict[int, tuple[float, float, float]] = {
    27: (0.0, -44.0, 3.0),  # root of the nose
    28: (0.0, -33.0, -3.0),
    29: (0.0, -22.0, -10.0),
    30: (0.0, -10.0, -17.0),  # tip of the nose
    31: (-13.0, -2.0, 3.0),  # below the wings of the nose
    33: (0.0, 0.0, 0.0),  # base of the nose
    36: (-45.0, -41.0, 26.0),  # outer corners of the eyes
    39: (-16.5, -40.0, 15.0),  # inner corners of the eyes
}
_MIRRORED = {31: 35, 36: 45, 39: 42}


def _model() -> tuple[list[int], NDArray[np.float64]]:
    """Returns landmark indices and their points (k, 3), centred."""
    points = dict(_HALF_FACE)
    for left, right in _MIRRORED.items():
        x, y, z = _HALF_FACE[left]
        points[right] = (-x, y, z)
    indices = sorted(points)
    model = np.array([points[index] for index in indices])
    return indices, model - model.mean(axis=0)


_INDICES, _POINTS = _model()
_INVERSE = np.linalg.pinv(_POINTS).T  # (k, 3): landmarks times this is the affine map


def head_poses(landmarks: NDArray[np.floating]) -> NDArray[np.float32]:
    """Estimates the pose of a head in each frame.

    Yaw and pitch describe where the face looks: the direction of the nose is (sin yaw ·
    cos pitch, −sin pitch, −cos yaw · cos pitch) with x to the right of the image, y
    down and z away from the camera. Roll is the rotation about that direction.

    - yaw > 0: towards the right of the image (the viewer's right);
    - pitch > 0: up;
    - roll > 0: clockwise in the image (the top of the head towards its right).

    The landmarks are biased towards frontal views, so large angles are underestimated:
    a head half turned to profile measures 30 to 40 degrees, one close to profile about
    45. Zero pitch is that of a generic face; people differ by about 10 degrees.

    Args:
        landmarks:
            Array with shape (n, 68, 2): x, y in pixels of any upright square-pixel
            image, finite.

    Returns:
        float32 array with shape (n, 3): yaw in [-180, 180], pitch in [-90, 90] and roll
        in [-180, 180], in degrees; zeros for landmarks that all coincide.

    Raises:
        ValueError: If the shape differs, or a coordinate is not finite.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    if points.ndim != 3 or points.shape[1:] != (NUM_LANDMARKS, 2):
        raise ValueError(
            f"Invalid shape of landmarks {points.shape}: must be (n, 68, 2)."
        )
    if not np.isfinite(points).all():
        raise ValueError("Invalid landmarks: all coordinates must be finite.")
    used = points[:, _INDICES]
    used = used - used.mean(axis=1, keepdims=True)
    # One affine map (2, 3) per frame: the first two rows of a scaled rotation.
    rows = _nearest_rotation(np.einsum("nkc,kd->ncd", used, _INVERSE))
    right, down = rows[:, 0], rows[:, 1]
    away = np.cross(right, down)
    # The nose points along the model's -z; these are elements of the rotation.
    yaw = np.arctan2(-right[:, 2], away[:, 2])
    pitch = np.arcsin(np.clip(down[:, 2], -1.0, 1.0))
    roll = np.arctan2(down[:, 0], down[:, 1])
    degrees = np.rad2deg(np.stack([yaw, pitch, roll], axis=1))
    return np.asarray(degrees, dtype=np.float32)


def _nearest_rotation(maps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the orthonormal rows nearest to affine maps.

    They are (A Aᵀ)^(-1/2) A, up to scale the polar factor of A; the inverse root of a
    symmetric 2x2 matrix has a closed form.

    Args:
        maps: float64 array with shape (n, 2, 3).

    Returns:
        float64 array with shape (n, 2, 3); the upright frontal view for maps of rank
        below 2.
    """
    a = np.einsum("ni,ni->n", maps[:, 0], maps[:, 0])
    b = np.einsum("ni,ni->n", maps[:, 0], maps[:, 1])
    d = np.einsum("ni,ni->n", maps[:, 1], maps[:, 1])
    determinant = a * d - b * b
    usable = determinant > 1e-12 * np.square(a + d)
    usable &= determinant > 0
    root = np.sqrt(np.where(usable, determinant, 1.0))
    norm = root * np.sqrt(a + d + 2 * root)
    norm = np.where(usable, norm, 1.0)
    first = ((d + root)[:, None] * maps[:, 0] - b[:, None] * maps[:, 1]) / norm[:, None]
    second = (a + root)[:, None] * maps[:, 1] - b[:, None] * maps[:, 0]
    rows = np.stack([first, second / norm[:, None]], axis=1)
    rows[~usable] = np.eye(3)[:2]
    return rows
