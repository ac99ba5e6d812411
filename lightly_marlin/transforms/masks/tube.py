"""Tube masks: the same places in all tubelets of a clip.

The counts match the released MARLIN code [1], which makes the mask of [0] and then
drops visible tokens at random until exactly int(N * (1 - mask_ratio)) are left.

- [0]: VideoMAE, 2022, https://arxiv.org/abs/2203.12602
- [1]: MARLIN, 2023, https://arxiv.org/abs/2211.06627
"""

from __future__ import annotations

import torch
from torch import Tensor

from lightly_marlin.transforms.clip_draws import Randomness
from lightly_marlin.transforms.mask_strategy import MaskInputs, MaskStrategy
from lightly_marlin.transforms.registry import register_mask
from lightly_marlin.transforms.token_grid import GridSize, split_size
from lightly_marlin.transforms.token_selection import (
    num_visible,
    num_visible_at_least,
    select_tokens,
    split_tokens,
)

__all__ = ["TubeMask", "tube_token_mask"]


def tube_token_mask(
    size: GridSize,
    mask_ratio: float = 0.9,
    *,
    num_prefix_tokens: int = 0,
    generator: Randomness | None = None,
    device: torch.device | str | None = None,
) -> tuple[Tensor, Tensor]:
    """Draws masks that are the same in all tubelets of a clip.

    Args:
        size: Batch size and token grid (B, (t, h, w)).
        mask_ratio: Share of tokens to mask, in (0, 1).
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
        ValueError: If a size or the ratio is out of range.
    """
    batch, tubelets, patches = split_size(size)
    num_keep = num_visible(tubelets * patches, mask_ratio)
    every = torch.ones(batch, patches, dtype=torch.bool, device=device)
    tube = select_tokens(every, num_visible_at_least(patches, mask_ratio), generator)
    candidates = tube.unsqueeze(1).expand(-1, tubelets, -1).flatten(1)
    visible = select_tokens(candidates, num_keep, generator)
    return split_tokens(visible, num_keep, num_prefix_tokens)


@register_mask
class TubeMask(MaskStrategy):
    """The same places masked in all tubelets of a clip (VideoMAE).

    See `tube_token_mask`. A sample needs "video" (C, T, H, W), which the
    tubelets tile.
    """

    name = "tube"
    caption = "the same places in all tubelets"
    position = 1

    def draw(self, given: MaskInputs) -> tuple[Tensor, Tensor]:
        """Draws the masks of a batch with `tube_token_mask`."""
        return tube_token_mask(
            given.size,
            self.mask_ratio,
            num_prefix_tokens=self.num_prefix_tokens,
            generator=given.source,
            device=given.device,
        )
