"""Multi-block masks: the union of several blocks, each through the tubelets of a clip.

- [0]: V-JEPA, 2024, https://arxiv.org/abs/2404.08471 (multi-block masking)

The number of blocks, their size as a share of a tubelet, the uniform aspect ratio and
the uniform places follow [0]: its short-range masks are the defaults, its long-range
ones are `num_blocks=2, spatial_scale=0.7`. The differences, and their reasons:

- Every clip keeps exactly int(N * (1 - mask_ratio)) tokens. [0] shortens the sets of
  a batch to those of its smallest mask, in raster order, so that the last tubelets lose
  the most, and some tokens belong to neither set. Here, the surplus outside the blocks
  is masked at random; where too little is outside, random tokens of the blocks are
  visible.
- The size of the blocks is drawn for every clip. [0] draws one for the whole batch, to
  lose less when it shortens; a clip's mask would depend on its batch.
- The union is drawn once. [0] draws it again while no token lies outside.
- All blocks of a mask have one size. [0] predicts a short-range and a long-range mask
  from every clip; a `MaskMixture` of two `MultiblockMask` gives each clip one of them.
- [0] rounds the area and the length of a block down. Here the area is not rounded, and
  the length to the nearest.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lightly_marlin.transforms.clip_draws import Randomness
from lightly_marlin.transforms.mask_strategy import (
    MaskInputs,
    MaskStrategy,
    MaskVariant,
)
from lightly_marlin.transforms.registry import register_mask
from lightly_marlin.transforms.token_grid import Grid, GridSize, split_size
from lightly_marlin.transforms.token_selection import (
    draw_uniform,
    num_visible,
    select_tokens,
    split_tokens,
)

__all__ = ["MultiblockMask", "multiblock_token_mask"]


def multiblock_token_mask(
    size: GridSize,
    mask_ratio: float = 0.9,
    *,
    num_blocks: int = 8,
    spatial_scale: float = 0.15,
    temporal_scale: float = 1.0,
    aspect_ratio: tuple[float, float] = (0.75, 1.5),
    num_prefix_tokens: int = 0,
    generator: Randomness | None = None,
    device: torch.device | str | None = None,
) -> tuple[Tensor, Tensor]:
    """Draws masks that cover blocks of tokens [0].

    The blocks of a clip have one size and lie anywhere, also over each other. The
    visible tokens are random ones outside all blocks, or, where these do not suffice,
    all of them and random tokens of the blocks. The defaults cover 63 % of a grid of
    (8, 14, 14) on average, between 35 and 87 %.

    Args:
        size: Batch size and token grid (B, (t, h, w)).
        mask_ratio: Share of tokens to mask, in (0, 1).
        num_blocks: Blocks in a clip, >= 1.
        spatial_scale: Area of a block as a share of h * w, in (0, 1], before its sides
            are rounded to whole tokens and cut to the grid.
        temporal_scale: Length of a block as a share of t, in (0, 1], rounded; at least
            one tubelet.
        aspect_ratio: Bounds of a block's height in tokens over its width, > 0.
        num_prefix_tokens: Class tokens of the model; kept, first in idx_keep, and
            shifting all other indices.
        generator: Source of randomness, of any device, or `ClipDraws`; None for
            torch's global one.
        device: Device of the indices.

    Returns:
        Tuple (idx_keep, idx_mask) of ascending int64 indices with shapes
        (B, num_prefix_tokens + n_keep) and (B, n_mask), n_keep being
        int(t * h * w * (1 - mask_ratio)).

    Raises:
        ValueError: If a size, the ratio or an option is out of range.
    """
    _check_blocks(num_blocks, spatial_scale, temporal_scale, aspect_ratio)
    batch, tubelets, patches = split_size(size)
    num_keep = num_visible(tubelets * patches, mask_ratio)
    grid = size[1]
    # The device that a mask of this call has, also where it is torch's default.
    device = torch.empty(0, device=device).device
    ratio = draw_uniform((batch, 1), device, generator)
    sides = _block_sides(grid, spatial_scale, temporal_scale, aspect_ratio, ratio)
    places = draw_uniform((3, batch, num_blocks), device, generator, batch_dim=1)
    outside = _cover(grid, sides, places).logical_not()
    visible = select_tokens(outside.flatten(1), num_keep, generator)
    return split_tokens(visible, num_keep, num_prefix_tokens)


@register_mask
@dataclass(eq=False, kw_only=True)
class MultiblockMask(MaskStrategy):
    """Blocks through the whole clip masked (V-JEPA).

    See `multiblock_token_mask`. A sample needs "video" (C, T, H, W), which the
    tubelets tile.

    Attributes:
        num_blocks: Blocks in a clip, >= 1.
        spatial_scale: Area of a block as a share of a tubelet, in (0, 1].
        temporal_scale: Length of a block as a share of the clip, in (0, 1].
        aspect_ratio: Bounds of a block's height in tokens over its width, > 0.
    """

    name = "multiblock"
    caption = "blocks stay hidden in all tubelets; visible tokens lie around them"
    position = 6
    variants = (
        MaskVariant(
            "two large blocks",
            "less around them, in a border (V-JEPA's long-range mask)",
            {"num_blocks": 2, "spatial_scale": 0.7},
        ),
    )

    num_blocks: int = 8
    spatial_scale: float = 0.15
    temporal_scale: float = 1.0
    aspect_ratio: tuple[float, float] = (0.75, 1.5)

    def __post_init__(self) -> None:
        """Checks the strategy's own options."""
        super().__post_init__()
        _check_blocks(
            self.num_blocks, self.spatial_scale, self.temporal_scale, self.aspect_ratio
        )

    def draw(self, given: MaskInputs) -> tuple[Tensor, Tensor]:
        """Draws the masks of a batch with `multiblock_token_mask`."""
        return multiblock_token_mask(
            given.size,
            self.mask_ratio,
            num_blocks=self.num_blocks,
            spatial_scale=self.spatial_scale,
            temporal_scale=self.temporal_scale,
            aspect_ratio=self.aspect_ratio,
            num_prefix_tokens=self.num_prefix_tokens,
            generator=given.source,
            device=given.device,
        )


def _check_blocks(
    num_blocks: int,
    spatial_scale: float,
    temporal_scale: float,
    aspect_ratio: tuple[float, float],
) -> None:
    if num_blocks < 1:
        raise ValueError(f"Invalid num_blocks {num_blocks}: must be at least 1.")
    for name, scale in (
        ("spatial_scale", spatial_scale),
        ("temporal_scale", temporal_scale),
    ):
        if not 0 < scale <= 1:
            raise ValueError(f"Invalid {name} {scale}. Supported values are in (0, 1].")
    lowest, highest = aspect_ratio
    if not 0 < lowest <= highest < float("inf"):
        raise ValueError(
            f"Invalid aspect_ratio {aspect_ratio}: must be two positive numbers, the "
            "lower one first."
        )


def _block_sides(
    grid: Grid,
    spatial_scale: float,
    temporal_scale: float,
    aspect_ratio: tuple[float, float],
    draw: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the sides of the blocks along the three axes of the grid, in tokens.

    Args:
        grid: Token grid (t, h, w).
        spatial_scale: Area of a block as a share of h * w.
        temporal_scale: Length of a block as a share of t.
        aspect_ratio: Bounds of the height over the width.
        draw: float32 in [0, 1), (B, 1): the place between the bounds.

    Returns:
        Three float32 tensors (B, 1) of whole numbers, between 1 and the grid's side.
    """
    tubelets, height, width = grid
    lowest, highest = aspect_ratio
    ratio = lowest + draw * (highest - lowest)
    area = spatial_scale * height * width
    length = max(1, round(temporal_scale * tubelets))
    return (
        torch.full_like(draw, length),
        (area * ratio).sqrt().round().clamp(1, height),
        (area / ratio).sqrt().round().clamp(1, width),
    )


def _cover(grid: Grid, sides: tuple[Tensor, Tensor, Tensor], places: Tensor) -> Tensor:
    """Returns the union of the blocks.

    Args:
        grid: Token grid (t, h, w).
        sides: Sides of the blocks of each clip along the axes of the grid, (B, 1) each.
        places: float32 in [0, 1), (3, B, K): the places of the blocks along the axes.

    Returns:
        Boolean tensor (B, t, h, w), True in a block.
    """
    t, h, w = map(_span, grid, sides, places)
    blocks = t[..., :, None, None] & h[..., None, :, None] & w[..., None, None, :]
    return blocks.any(dim=1)


def _span(room: int, side: Tensor, place: Tensor) -> Tensor:
    """Returns boolean (B, K, room), True from the start of a block to its end."""
    free = room - side
    # The product may be rounded up to one place more than there is.
    start = (place * (free + 1)).floor().minimum(free).unsqueeze(-1)
    token = torch.arange(room, device=place.device)
    return (token >= start) & (token < start + side.unsqueeze(-1))
