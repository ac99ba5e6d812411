"""Frame masks: whole tubelets in time.

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

__all__ = ["FrameMask", "frame_token_mask"]


def frame_token_mask(
    size: GridSize,
    mask_ratio: float = 0.9,
    *,
    num_prefix_tokens: int = 0,
    generator: Randomness | None = None,
    device: torch.device | str | None = None,
) -> tuple[Tensor, Tensor]:
    """Draws masks that hide whole tubelets in time.

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
    every = torch.ones(batch, tubelets, dtype=torch.bool, device=device)
    frames = select_tokens(every, num_visible_at_least(tubelets, mask_ratio), generator)
    candidates = frames.unsqueeze(2).expand(-1, -1, patches).flatten(1)
    visible = select_tokens(candidates, num_keep, generator)
    return split_tokens(visible, num_keep, num_prefix_tokens)


@register_mask
class FrameMask(MaskStrategy):
    """Whole tubelets masked in time (VideoMAE).

    See `frame_token_mask`. A sample needs "video" (C, T, H, W), which the
    tubelets tile.
    """

    name = "frame"
    caption = "whole tubelets, and a few tokens more, to hide as many as the others"
    position = 2

    def draw(self, given: MaskInputs) -> tuple[Tensor, Tensor]:
        """Draws the masks of a batch with `frame_token_mask`."""
        return frame_token_mask(
            given.size,
            self.mask_ratio,
            num_prefix_tokens=self.num_prefix_tokens,
            generator=given.source,
            device=given.device,
        )
