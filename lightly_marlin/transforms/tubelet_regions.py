"""The regions that decide a tubelet's mask: those of its first frame."""

from __future__ import annotations

from torch import Tensor

from lightly_marlin.regions import RegionCells, labels_to_patches

__all__ = ["tubelet_bits"]


def tubelet_bits(
    regions: Tensor | RegionCells, patch_size: int, tubelet_size: int
) -> Tensor:
    """Summarises regions per token.

    Args:
        regions:
            Integer tensor with shape (B, T, H, W) of LaPa labels in [0, 10], -1 in a
            frame without a face; or `RegionCells` with bits of shape
            (B, T, H / 8, W / 8).
        patch_size: Side of a patch in pixels.
        tubelet_size: Frames per tubelet; divides T.

    Returns:
        int32 label bits (B, t, h * w) of the first frame of every tubelet: bit k says
        that label k occurs in the token. All zero where no face was parsed.

    Raises:
        ValueError: If an argument is out of shape or range.
    """
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
