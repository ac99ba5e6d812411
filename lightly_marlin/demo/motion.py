"""Motion of face and camera in a demo clip: smooth curves over time.

Lengths are in units of the distance between the eyes, along axes parallel to the eyes
and down the face. Landmarks are in the order of iBUG 300-W.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FPS",
    "ExpressionCurves",
    "camera_path",
    "clip_generator",
    "expression_curves",
    "expression_path",
    "lip_distance",
    "wave",
]

FPS = 25.0
"""Frames per second of the demo clips."""

_Array = NDArray[np.float64]

_UPPER_LIP, _LOWER_LIP = 62, 66

_UPPER_LIDS = (37, 38, 43, 44)
_LOWER_LIDS = (41, 40, 47, 46)


class ExpressionCurves(NamedTuple):
    """Expression of the face over time; each a float64 array with shape (T,).

    Attributes:
        opening: Opening of the mouth, at most 0.8; below 0 it is more closed than at
            rest.
        smile: Corners of the mouth, out and up, in [-1, 1].
        brows: Raise of the brows, in [-0.3, 1].
        turn: Turn of the head to a side, in [-1, 1].
        nod: Pitch of the head, down is positive, in [-0.8, 0.8].
        blink: Closure of the eyelids, in [0, 1].
    """

    opening: _Array
    smile: _Array
    brows: _Array
    turn: _Array
    nod: _Array
    blink: _Array


def clip_generator(index: int, seed: int) -> np.random.Generator:
    """Returns the source of all that is random in a demo clip.

    The expression is drawn first: `expression_curves` of a new generator are those of
    the clip.

    Args:
        index: Index of the clip, from 0.
        seed: Seed of the clips.
    """
    return np.random.default_rng([seed, index])


def wave(
    generator: np.random.Generator, seconds: _Array, low: float, high: float
) -> _Array:
    """Returns a smooth random curve.

    Args:
        generator: Source of frequencies and phases; a fixed number of values is drawn.
        seconds: float64 array with shape (T,): times.
        low: Lower frequency limit in hertz.
        high: Upper frequency limit in hertz.

    Returns:
        float64 array with shape (T,) in [-1, 1]; a longer one starts with the same
        values.
    """
    frequencies = generator.uniform(low, high, size=3)
    phases = generator.uniform(0, 2 * np.pi, size=3)
    weights = np.array([0.5, 0.3, 0.2])
    angles = 2 * np.pi * frequencies * seconds[:, None] + phases
    curve: _Array = np.sin(angles) @ weights
    return curve


def expression_curves(
    generator: np.random.Generator, seconds: _Array
) -> ExpressionCurves:
    """Draws the expression of a talking face.

    Args:
        generator: Draws the curves; a fixed number of values is drawn.
        seconds: float64 array with shape (T,): times.
    """
    talk = wave(generator, seconds, 1.0, 2.2)
    mood = 0.6 + 0.4 * wave(generator, seconds, 0.1, 0.4)
    return ExpressionCurves(
        opening=0.8 * mood * (0.4 + 0.6 * talk),
        smile=wave(generator, seconds, 0.2, 0.6),
        brows=np.maximum(wave(generator, seconds, 0.2, 0.7), -0.3),
        turn=generator.uniform(-0.3, 0.3) + 0.7 * wave(generator, seconds, 0.15, 0.45),
        nod=0.8 * wave(generator, seconds, 0.2, 0.6),
        blink=_blinks(generator, seconds),
    )


def expression_path(
    landmarks: _Array,
    generator: np.random.Generator,
    seconds: _Array,
    opening: _Array | None = None,
) -> _Array:
    """Moves landmarks like those of a talking face.

    Args:
        landmarks: float64 array with shape (68, 2) of the face at rest.
        generator: Draws the curves, see `expression_curves`.
        seconds: float64 array with shape (T,): times.
        opening: Opening of the mouth in place of the drawn one, float64 (T,).

    Returns:
        float64 array with shape (T, 68, 2).
    """
    curves = expression_curves(generator, seconds)
    if opening is not None:
        curves = curves._replace(opening=opening)
    depth = _depths()
    sideways = np.stack([depth, np.zeros(68)], axis=-1)
    modes = [
        (curves.opening, _mouth_opening()),
        (curves.smile, _smile()),
        (curves.brows, _brow_raise()),
        (0.16 * curves.turn, sideways),
        (0.09 * curves.nod, sideways[:, ::-1]),
        (curves.blink, _lid_closing(landmarks)),
    ]
    path: _Array = np.repeat(landmarks[None], len(seconds), axis=0)
    for amount, mode in modes:
        path += amount[:, None, None] * mode
    return path


def lip_distance(opening: _Array) -> _Array:
    """Returns how far an opening parts the lips beyond their rest.

    Args:
        opening: float64 array with shape (T,), see `ExpressionCurves`.

    Returns:
        float64 array with shape (T,) in distances between the eyes.
    """
    mode = _mouth_opening()
    distance: _Array = opening * (mode[_LOWER_LIP, 1] - mode[_UPPER_LIP, 1])
    return distance


def camera_path(generator: np.random.Generator, seconds: _Array) -> _Array:
    """Moves a camera: pan, zoom and slight roll about a random framing.

    Args:
        generator: Draws the curves.
        seconds: float64 array with shape (T,): times.

    Returns:
        float64 array with shape (T, 2, 3): affine maps of output coordinates (x, y, 1)
        to the picture, in units of half the view.
    """
    zoom = np.exp(
        generator.uniform(-0.06, 0.06) + 0.07 * wave(generator, seconds, 0.08, 0.3)
    )
    roll = np.deg2rad(generator.uniform(-4, 4) + 4 * wave(generator, seconds, 0.1, 0.4))
    shift = [
        generator.uniform(-0.06, 0.06) + 0.07 * wave(generator, seconds, 0.1, 0.4)
        for _ in range(2)
    ]
    cos, sin = zoom * np.cos(roll), zoom * np.sin(roll)
    rows = [[cos, -sin, shift[0]], [sin, cos, shift[1]]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=1)


def _blinks(generator: np.random.Generator, seconds: _Array) -> _Array:
    """Returns the closure of the eyelids (T,), in [0, 1]."""
    period = generator.uniform(1.6, 2.8)
    since = (seconds + generator.uniform(0, period)) % period
    closed: _Array = np.exp(-0.5 * np.square((since - 0.3) / 0.06))
    return closed


def _depths() -> _Array:
    """Returns the depth of each landmark (68,), which scales its motion in a turn."""
    jaw = 0.15 + 0.4 * np.sin(np.linspace(0, np.pi, 17))
    nose = np.array([0.6, 0.75, 0.9, 1.0, 0.7, 0.8, 0.85, 0.8, 0.7])
    parts = [jaw, np.full(10, 0.5), nose, np.full(12, 0.5), np.full(20, 0.65)]
    return np.concatenate(parts)


def _mouth_opening() -> _Array:
    """Returns the offsets (68, 2) of an opening mouth: lip and jaw go down."""
    mode = np.zeros((68, 2))
    mode[2:15, 1] = 0.24 * np.sin(np.linspace(0, np.pi, 13))
    mode[55:60, 1] = [0.16, 0.27, 0.30, 0.27, 0.16]
    mode[65:68, 1] = [0.25, 0.28, 0.25]
    mode[[50, 51, 52, 61, 62, 63], 1] = -0.03
    mode[[48, 60], 0], mode[[54, 64], 0] = 0.05, -0.05
    mode[[48, 54, 60, 64], 1] = 0.06
    return mode


def _smile() -> _Array:
    """Returns the offsets (68, 2) of a smile: the corners go out and up."""
    mode = np.zeros((68, 2))
    for points, share in (((48, 60), 1.0), ((49, 59), 0.6)):
        mode[points, :] = (-0.09 * share, -0.07 * share)
    for points, share in (((54, 64), 1.0), ((53, 55), 0.6)):
        mode[points, :] = (0.09 * share, -0.07 * share)
    return mode


def _brow_raise() -> _Array:
    """Returns the offsets (68, 2) of raised brows."""
    mode = np.zeros((68, 2))
    mode[17:27, 1] = -0.13
    mode[[37, 38, 43, 44], 1] = -0.02
    return mode


def _lid_closing(landmarks: _Array) -> _Array:
    """Returns the offsets (68, 2) that close the eyes of a face (68, 2)."""
    mode = np.zeros((68, 2))
    lower, upper = list(_LOWER_LIDS), list(_UPPER_LIDS)
    mode[upper] = 0.62 * (landmarks[lower] - landmarks[upper])
    return mode
