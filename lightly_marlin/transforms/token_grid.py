"""Token grids (t, h, w): tubelets in time, and patches in rows and columns."""

from __future__ import annotations

__all__ = ["Grid", "GridSize", "split_size", "tile"]

Grid = tuple[int, int, int]
"""Tubelets in time, rows and columns of patches: (t, h, w)."""

GridSize = tuple[int, Grid]
"""Batch size and token grid: (B, (t, h, w))."""


def split_size(size: GridSize) -> tuple[int, int, int]:
    """Returns batch size, tubelets in time, and patches per tubelet.

    Raises:
        ValueError: If the size has another form or a number is out of range.
    """
    try:
        batch, (tubelets, height, width) = size
    except (TypeError, ValueError):
        raise ValueError(
            f"Invalid size {size!r}. Supported is (B, (t, h, w))."
        ) from None
    if batch < 0 or min(tubelets, height, width) <= 0:
        raise ValueError(
            f"Invalid size {size!r}: all numbers must be positive, B may be 0."
        )
    return batch, tubelets, height * width


def tile(
    frames: int, height: int, width: int, *, patch_size: int, tubelet_size: int
) -> Grid:
    """Returns the token grid of a clip.

    Args:
        frames: Length of the clip in frames.
        height: Height of a frame in pixels.
        width: Width of a frame in pixels.
        patch_size: Side of a patch in pixels.
        tubelet_size: Frames per tubelet.

    Raises:
        ValueError: If the tubelets do not tile the clip.
    """
    if (
        min(patch_size, tubelet_size) < 1
        or frames % tubelet_size
        or height % patch_size
        or width % patch_size
    ):
        raise ValueError(
            f"Invalid tubelet {tubelet_size}x{patch_size}x{patch_size}: does not tile "
            f"a video of {frames} frames of {height}x{width} pixels."
        )
    return frames // tubelet_size, height // patch_size, width // patch_size
