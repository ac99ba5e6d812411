"""Regions of a tubelet's first frame, which decide its mask."""

from __future__ import annotations

import torch
from torch import Tensor

from lightly_marlin.regions import (
    CELL_SIZE,
    NO_FACE,
    NUM_LABELS,
    RegionCells,
    labels_to_patches,
)

__all__ = ["read_regions", "tubelet_bits"]

_LARGEST_FRAME = 1024
"""Largest side, in pixels, of a frame whose cells an int32 tensor may hold."""


def tubelet_bits(
    regions: Tensor | RegionCells, patch_size: int, tubelet_size: int
) -> Tensor:
    """Summarises regions per token.

    Args:
        regions:
            Integer tensor with shape (B, T, H, W) of LaPa labels in [0, 10], -1 in a
            frame without a face; or `RegionCells` with bits of shape (B, T, H / 8, W /
            8). An int32 tensor may be either; see `read_regions`.
        patch_size: Side of a patch in pixels.
        tubelet_size: Frames per tubelet; divides T.

    Returns:
        int32 label bits (B, t, h * w) of the first frame of every tubelet: bit k is set
        if label k occurs in the token. All zero if no face was parsed.

    Raises:
        ValueError: If an argument has an unsupported shape or range, or `regions` could
            be either labels or cells.
    """
    regions = read_regions(regions, patch_size)
    frames = regions.bits if isinstance(regions, RegionCells) else regions
    if frames.ndim != 4:
        raise ValueError(
            f"Invalid shape of regions {tuple(frames.shape)}. Supported are labels "
            "(B, T, H, W) and RegionCells with bits (B, T, H / 8, W / 8)."
        )
    if tubelet_size <= 0 or frames.shape[1] % tubelet_size:
        raise ValueError(
            f"Invalid tubelet_size {tubelet_size}: must divide the number of frames "
            f"{frames.shape[1]}."
        )
    first = frames[:, ::tubelet_size]
    if isinstance(regions, RegionCells):
        return RegionCells(first).to_patches(patch_size).flatten(2)
    return labels_to_patches(first, patch_size).flatten(2)


def read_regions(
    regions: Tensor | RegionCells, patch_size: int
) -> Tensor | RegionCells:
    """Distinguishes region cells in a plain int32 tensor from label maps.

    All other dtypes hold labels. An int32 tensor holds whichever patches tile: labels
    (H, W) or cells (H / 8, W / 8). If they tile both, such as 16x16 numbers with
    patches of 16 pixels, the values decide: labels are in [-1, 10], and cells of a
    frame are all zero (no face) or all in [1, 2 ** 11). Cells of frames of more than
    1024 pixels a side are ruled out. Values are read on the CPU only; on other devices,
    ambiguous regions count as labels.

    Args:
        regions: Integer tensor (..., H, W) or (..., H / 8, W / 8), or `RegionCells`.
        patch_size: Side of a patch in pixels.

    Returns:
        The regions, cells as `RegionCells`.

    Raises:
        ValueError: If the values fit both labels and cells.
    """
    if (
        isinstance(regions, RegionCells)
        or not isinstance(regions, Tensor)
        or regions.dtype != torch.int32
        or regions.ndim < 2
        or regions.numel() == 0
        or not _tiled(regions, patch_size, CELL_SIZE)
    ):
        return regions
    if not _tiled(regions, patch_size, 1):
        return RegionCells(regions)
    if regions.device.type != "cpu":
        return regions
    low, high = (int(value) for value in torch.aminmax(regions))
    zeros = regions.eq(0).flatten(-2)
    every_frame = zeros.all(-1) | ~zeros.any(-1)
    if low < 0 or high >= 1 << NUM_LABELS or not bool(every_frame.all()):
        return regions
    if high >= NUM_LABELS:
        return RegionCells(regions)
    raise ValueError(
        f"Invalid regions: an int32 tensor with shape {tuple(regions.shape)} and "
        f"values in [{low}, {high}] may be labels [{NO_FACE}, {NUM_LABELS - 1}] or "
        f"bit masks of {CELL_SIZE}x{CELL_SIZE}-pixel cells. Pass RegionCells(regions) "
        "for cells, regions.long() for labels."
    )


def _tiled(regions: Tensor, patch_size: int, pixels: int) -> bool:
    """Returns whether patches tile frames with `pixels` per entry and direction."""
    height, width = (side * pixels for side in regions.shape[-2:])
    if patch_size <= 0 or patch_size % pixels:
        return False
    if pixels > 1 and max(height, width) > _LARGEST_FRAME:
        return False
    return height % patch_size == 0 and width % patch_size == 0
