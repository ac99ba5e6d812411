"""Placement of thumbnails in a scatter plot, avoiding dots and other thumbnails."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["place_thumbnails"]

_BORDER = 4
_DOT = 8
# Distances from dot to thumbnail in sides of a thumbnail, and positions around a dot.
_RINGS = (0.95, 1.35, 1.85, 2.5)
_ANGLES = 16
_MAX_THUMBNAILS = 60
_MAX_TRIES = 400


def place_thumbnails(
    places: npt.NDArray[np.float64],
    groups: Sequence[int],
    box: npt.NDArray[np.float64],
    side: int,
) -> dict[int, npt.NDArray[np.float64]]:
    """Places thumbnails near their dots, covering neither dots nor each other.

    The first dot of every group comes before the second of any, up to 60 thumbnails.

    Args:
        places: Centres of the dots in pixels, (n, 2).
        groups: Group of each dot, n numbers.
        box: Lower left and upper right corner of the plot in pixels, (2, 2).
        side: Width and height of a thumbnail in pixels.

    Returns:
        Centres (2,) in pixels of the thumbnails that fit, by index of their dot.
    """
    turn = 2 * np.pi * np.arange(_ANGLES) / _ANGLES
    ring = np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    around = np.concatenate([radius * side * ring for radius in _RINGS])
    half = side / 2 + _BORDER
    low, high = box[0] + half, box[1] - half
    reach = _RINGS[-1] * side + half + _DOT
    steps = np.linspace(0, 1, 9)[:, None, None]
    chosen: dict[int, npt.NDArray[np.float64]] = {}
    lines = np.empty((0, 2))
    for index in _by_turns(groups)[:_MAX_TRIES]:
        centers = places[index] + around
        free = ((centers > low) & (centers < high)).all(axis=-1)
        near = np.abs(places - places[index]).max(axis=-1) < reach
        others = np.array([*chosen.values()]).reshape(-1, 2)
        leading = places[index] + steps * (centers - places[index])
        for points, taken, distance in (
            (centers, places[near], half + _DOT),
            (centers, others, 2 * half + 4),
            (centers, lines, half),
            *((step, others, half) for step in leading),
        ):
            apart = np.abs(points[:, None] - taken[None]).max(axis=-1)
            free &= (apart > distance).all(axis=-1)
        if free.any():
            best = free.argmax()
            chosen[index] = centers[best]
            lines = np.concatenate([lines, leading[:, best]])
        if len(chosen) == _MAX_THUMBNAILS:
            break
    return chosen


def _by_turns(groups: Sequence[int]) -> list[int]:
    """Returns all indices: the first of every group, then every second, and so on."""
    seen: dict[int, int] = {}
    turns = []
    for index, group in enumerate(groups):
        seen[group] = seen.get(group, 0) + 1
        turns.append((seen[group], index))
    return [index for _, index in sorted(turns)]
