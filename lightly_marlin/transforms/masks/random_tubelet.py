"""Random masks: uniform over all tokens of a clip.

- [0]: VideoMAE, 2022, https://arxiv.org/abs/2203.12602
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
    select_tokens,
    split_tokens,
)

__all__ = ["RandomTubeletMask", "random_tubelet_mask"]


def random_tubelet_mask(
    size: GridSize,
    mask_ratio: float = 0.9,
    *,
    num_prefix_tokens: int = 0,
    generator: Randomness | None = None,
    device: torch.device | str | None = None,
) -> tuple[Tensor, Tensor]:
    """Draws masks uniformly over all tokens of the clip.

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
    every = torch.ones(batch, tubelets * patches, dtype=torch.bool, device=device)
    visible = select_tokens(every, num_keep, generator)
    return split_tokens(visible, num_keep, num_prefix_tokens)


@register_mask
class RandomTubeletMask(MaskStrategy):
    """All tokens of a clip masked with equal probability (VideoMAE).

    See `random_tubelet_mask`. A sample needs "video" (C, T, H, W), which the
    tubelets tile.
    """

    name = "random"
    caption = "any token"
    position = 3

    def draw(self, given: MaskInputs) -> tuple[Tensor, Tensor]:
        """Draws the masks of a batch with `random_tubelet_mask`."""
        return random_tubelet_mask(
            given.size,
            self.mask_ratio,
            num_prefix_tokens=self.num_prefix_tokens,
            generator=given.source,
            device=given.device,
        )
