"""Faces to test with: landmarks that are drawn, and a public-domain photo."""

import numpy as np
import pytest
import skimage.data


def _ellipse(x, y, width, height, start, stop, count):
    angles = np.deg2rad(np.linspace(start, stop, count))
    return np.stack([x + width * np.cos(angles), y + height * np.sin(angles)], axis=-1)


@pytest.fixture
def frontal_landmarks() -> np.ndarray:
    """A frontal face with an open mouth on a 224x224 crop, shape (68, 2)."""
    left_brow = _ellipse(82, 84, 20, 8, 180, 360, 5)
    left_eye = _ellipse(82, 95, 12, 5, 180, 540, 7)[:6]
    outer = _ellipse(112, 158, 24, 14, 180, 540, 13)[:12]
    inner = _ellipse(112, 158, 18, 7, 180, 540, 9)[:8]
    mirror = np.array([-1.0, 1.0]), np.array([224.0, 0.0])
    right_brow = (left_brow * mirror[0] + mirror[1])[::-1]
    right_eye = (left_eye * mirror[0] + mirror[1])[[3, 2, 1, 0, 5, 4]]
    bridge = np.stack([np.full(4, 112.0), np.linspace(92, 125, 4)], axis=-1)
    nostrils = _ellipse(112, 130, 14, 5, 180, 0, 5)
    jaw = _ellipse(112, 100, 60, 90, 180, 0, 17)
    parts = (jaw, left_brow, right_brow, bridge, nostrils)
    return np.concatenate([*parts, left_eye, right_eye, outer, inner])


@pytest.fixture(scope="session")
def portrait() -> np.ndarray:
    """The astronaut's head, (240, 240, 3) uint8; the face fills 90 pixels."""
    return np.ascontiguousarray(skimage.data.astronaut()[:240, 100:340])
