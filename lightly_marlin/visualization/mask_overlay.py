"""The mask over the face: which tokens are hidden, and which regions they hide."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lightly_marlin.regions import CELL_SIZE, NUM_LABELS, Label
from lightly_marlin.transforms import indices_to_mask

__all__ = [
    "REGION_COLORS",
    "cell_colors",
    "front_labels",
    "hatch",
    "hatch_undecoded",
    "mask_overlay",
    "masked_pixels",
]

_HATCH_COLORS = ((0.05, 0.05, 0.05), (0.55, 0.55, 0.55))
_HATCH_WIDTH = 4

REGION_COLORS: dict[Label, tuple[float, float, float]] = {
    Label.BACKGROUND: (0.35, 0.35, 0.38),
    Label.SKIN: (0.98, 0.75, 0.55),
    Label.LEFT_EYEBROW: (0.45, 0.30, 0.85),
    Label.RIGHT_EYEBROW: (0.45, 0.30, 0.85),
    Label.LEFT_EYE: (0.10, 0.55, 0.95),
    Label.RIGHT_EYE: (0.10, 0.55, 0.95),
    Label.NOSE: (0.10, 0.75, 0.45),
    Label.UPPER_LIP: (0.90, 0.20, 0.30),
    Label.INNER_MOUTH: (0.55, 0.05, 0.15),
    Label.LOWER_LIP: (0.90, 0.20, 0.30),
    Label.HAIR: (0.85, 0.65, 0.10),
}
"""Colour of each region in pictures, RGB in [0, 1]."""

_PAINT_ORDER = (
    Label.BACKGROUND,
    Label.SKIN,
    Label.HAIR,
    Label.NOSE,
    Label.LEFT_EYEBROW,
    Label.RIGHT_EYEBROW,
    Label.UPPER_LIP,
    Label.LOWER_LIP,
    Label.INNER_MOUTH,
    Label.LEFT_EYE,
    Label.RIGHT_EYE,
)


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
            masked tokens in one grey.
        tubelet_size: Frames per tubelet.
        patch_size: Side of a patch in pixels.
        strength: Opacity of the paint in [0, 1].

    Returns:
        float32 tensor (B, 3, T, H, W) in [0, 1].
    """
    clips = videos.float() / 255 if videos.dtype == torch.uint8 else videos.float()
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
        idx_decode: int64 indices of those that are decoded, (B, n_decode).
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
    """Returns which pixels belong to masked tokens.

    Args:
        idx_mask: int64 indices of the masked tokens, (B, n_mask).
        shape: That of the videos: (B, C, T, H, W).
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


def hatch(height: int, width: int) -> Tensor:
    """Returns diagonal stripes, float32 (height, width, 3), RGB in [0, 1]."""
    diagonal = torch.arange(height)[:, None] + torch.arange(width)
    return torch.tensor(_HATCH_COLORS)[diagonal // _HATCH_WIDTH % 2]


def cell_colors(cells: Tensor) -> Tensor:
    """Returns the colours of region cells, the rarest label of a cell in front.

    Args:
        cells: int32 bit masks with shape (B, T, H / 8, W / 8).

    Returns:
        float32 tensor (B, 3, T, H, W), RGB in [0, 1].
    """
    label = front_labels(cells)
    colors = [REGION_COLORS[Label(index)] for index in range(NUM_LABELS)]
    paint = torch.tensor(colors, device=cells.device)[label].permute(0, 4, 1, 2, 3)
    for dim in (3, 4):
        paint = paint.repeat_interleave(CELL_SIZE, dim)
    return paint


def front_labels(cells: Tensor) -> Tensor:
    """Returns the label that stands for each cell: the last of its in paint order.

    Args:
        cells: int32 bit masks of any shape.

    Returns:
        int64 labels in [0, 10] of the same shape.
    """
    label = cells.new_zeros(cells.shape, dtype=torch.int64)
    for region in _PAINT_ORDER:
        occurs = cells.bitwise_right_shift(int(region)).bitwise_and(1).bool()
        label = torch.where(occurs, int(region), label)
    return label
