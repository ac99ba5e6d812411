"""Entries of a sample that masks read: its clip and its regions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lightly_marlin.regions import CELL_SIZE, RegionCells
from lightly_marlin.transforms.tubelet_regions import read_regions

__all__ = ["Sample", "sample_entry", "sample_regions", "sample_video"]

Sample = Mapping[str, Any]


def sample_entry(sample: Sample, key: str, advice: str = "") -> Any:
    """Returns an entry of a sample.

    Raises:
        ValueError: If it is missing; the message ends with the advice.
    """
    if key not in sample:
        raise ValueError(
            f"Invalid sample: needs the key {key!r}, got {sorted(sample)}.{advice}"
        )
    return sample[key]


def sample_video(sample: Sample) -> Tensor:
    """Returns the clip (C, T, H, W) of a sample.

    Raises:
        ValueError: If it is missing or has another number of dimensions.
    """
    video: Tensor = sample_entry(sample, "video")
    if video.ndim != 4:
        raise ValueError(
            f"Invalid shape of video {tuple(video.shape)}. Supported is (C, T, H, W)."
        )
    return video


def sample_regions(sample: Sample, patch_size: int) -> Tensor | RegionCells:
    """Returns the regions of a sample as a batch of one, cells as `RegionCells`.

    The size of the sample's "video" distinguishes cells from label maps; without a
    video, or if neither matches its size, `read_regions` does.

    Args:
        sample: Mapping with "regions" and, optionally, "video" (C, T, H, W).
        patch_size: Side of a patch in pixels.

    Returns:
        Labels (1, T, H, W), or `RegionCells` with bits (1, T, H / 8, W / 8).

    Raises:
        ValueError: If they are missing or ambiguous, or have another number of
            dimensions.
    """
    regions: Tensor | RegionCells = sample_entry(sample, "regions")
    if len(regions.shape) != 3:
        raise ValueError(
            f"Invalid shape of regions {tuple(regions.shape)}. Supported are labels "
            "(T, H, W) and cells (T, H / 8, W / 8)."
        )
    if isinstance(regions, Tensor):
        side = sample["video"].shape[-1] if "video" in sample else None
        if regions.shape[-1] * CELL_SIZE == side:
            regions = RegionCells(regions)
        elif regions.shape[-1] != side:
            regions = read_regions(regions, patch_size)
        elif regions.dtype == torch.int32:
            # With this dtype, the strategy would have to tell labels from cells again.
            regions = regions.long()
    return (
        RegionCells(regions[None])
        if isinstance(regions, RegionCells)
        else regions[None]
    )
