"""Mask overlay: masked tokens in the colours of the regions under them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lightly_marlin.regions import Label
from lightly_marlin.transforms import indices_to_mask
from lightly_marlin.visualization.panels import panel_clips
from lightly_marlin.visualization.region_colors import REGION_COLORS, cell_colors, hatch

__all__ = ["hatch_undecoded", "mask_overlay", "masked_pixels"]


def mask_overlay(
    videos: Tensor,
    idx_mask: Tensor,
    cells: Tensor | None = None,
    *,
    tubelet_size: int = 2,
    patch_size: int = 16,
    strength: float = 0.75,
) -> Tensor:
    """Paints masked tokens over clips, in the colours of the regions under them.

    Args:
        videos:
            Tensor with shape (B, 3, T, H, W), uint8 in [0, 255] or floating point in
            [0, 1].
        idx_mask: int64 indices of the masked tokens, (B, n_mask).
        cells:
            int32 bit masks of region cells, (B, T, H / 8, W / 8); None paints all
            masked tokens grey.
        tubelet_size: Frames per tubelet.
        patch_size: Side of a patch in pixels.
        strength: Opacity of the paint in [0, 1].

    Returns:
        float32 tensor (B, 3, T, H, W) in [0, 1].
    """
    clips = panel_clips(videos)
    masked = masked_pixels(
        idx_mask, clips.shape, tubelet_size=tubelet_size, patch_size=patch_size
    )
    if cells is None:
        background = torch.tensor(REGION_COLORS[Label.BACKGROUND], device=clips.device)
        paint = background.view(1, 3, 1, 1, 1).expand_as(clips)
    else:
        paint = cell_colors(cells).to(clips.device)
    painted = clips * (1 - strength) + paint * strength
    return torch.where(masked, painted, clips)


def hatch_undecoded(
    painted: Tensor,
    idx_mask: Tensor,
    idx_decode: Tensor,
    *,
    tubelet_size: int = 2,
    patch_size: int = 16,
    strength: float = 0.9,
) -> Tensor:
    """Hatches the masked tokens that the decoder does not reconstruct.

    Args:
        painted: Clips of `mask_overlay`, floating point (B, 3, T, H, W) in [0, 1].
        idx_mask: int64 indices of the masked tokens, (B, n_mask).
        idx_decode: int64 indices of the decoded ones among them, (B, n_decode).
        tubelet_size: Frames per tubelet.
        patch_size: Side of a patch in pixels.
        strength: Opacity of the stripes in [0, 1].

    Returns:
        float32 tensor (B, 3, T, H, W) in [0, 1].
    """
    masked, decoded = (
        masked_pixels(
            idx, painted.shape, tubelet_size=tubelet_size, patch_size=patch_size
        )
        for idx in (idx_mask, idx_decode)
    )
    stripes = hatch(*painted.shape[-2:]).to(painted.device).permute(2, 0, 1)
    hatched = painted * (1 - strength) + stripes.unsqueeze(1) * strength
    return torch.where(masked & ~decoded, hatched, painted)


def masked_pixels(
    idx_mask: Tensor,
    shape: Sequence[int],
    *,
    tubelet_size: int = 2,
    patch_size: int = 16,
) -> Tensor:
    """Returns a mask of the pixels of masked tokens.

    Args:
        idx_mask: int64 indices of the masked tokens, (B, n_mask).
        shape: Shape of the videos, (B, C, T, H, W).
        tubelet_size: Frames per tubelet.
        patch_size: Side of a patch in pixels.

    Returns:
        bool tensor (B, 1, T, H, W).
    """
    batch, _, frames, height, width = shape
    grid = (frames // tubelet_size, height // patch_size, width // patch_size)
    masked = indices_to_mask(idx_mask, grid[0] * grid[1] * grid[2])
    masked = masked.view(batch, 1, *grid)
    for dim, side in ((2, tubelet_size), (3, patch_size), (4, patch_size)):
        masked = masked.repeat_interleave(side, dim)
    return masked
