"""Masks that look at no pixel: tube, frame, and random tubelets.

These are VideoMAE's strategies [0] with the counts of the released MARLIN code [1],
which makes a tube or frame mask and then drops visible tokens at random until exactly
int(N * (1 - mask_ratio)) are left.

- [0]: VideoMAE, 2022, https://arxiv.org/abs/2203.12602
- [1]: MARLIN, 2023, https://arxiv.org/abs/2211.06627
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from lightly_marlin.transforms.token_selection import (
    num_visible,
    num_visible_at_least,
    select_tokens,
    split_tokens,
)

__all__ = ["GridSize", "frame_token_mask", "random_tubelet_mask", "tube_token_mask"]

GridSize = tuple[int, tuple[int, int, int]]
"""Batch size and token grid: (B, (t, h, w))."""


def tube_token_mask(
    size: GridSize,
    mask_ratio: float = 0.9,
    *,
    num_prefix_tokens: int = 0,
    generator: Generator | None = None,
    device: torch.device | str | None = None,
) -> tuple[Tensor, Tensor]:
    """Draws masks that are the same in all tubelets of a clip.

    Args:
        size: Batch size and token grid (B, (t, h, w)).
        mask_ratio: Share of tokens to mask, in (0, 1).
        num_prefix_tokens: Class tokens of the model: kept, first, shift the others.
        generator: Source of randomness, of any device; None for torch's global one.
        device: Device of the indices.

    Returns:
        Tuple (idx_keep, idx_mask) of ascending int64 indices with shapes
        (B, num_prefix_tokens + n_keep) and (B, n_mask), n_keep being
        int(t * h * w * (1 - mask_ratio)).

    Raises:
        ValueError: If a size or the ratio is out of range.
    """
    batch, tubelets, patches = _check_size(size)
    num_keep = num_visible(tubelets * patches, mask_ratio)
    every = torch.ones(batch, patches, dtype=torch.bool, device=device)
    tube = select_tokens(every, num_visible_at_least(patches, mask_ratio), generator)
    candidates = tube.unsqueeze(1).expand(-1, tubelets, -1).flatten(1)
    visible = select_tokens(candidates, num_keep, generator)
    return split_tokens(visible, num_keep, num_prefix_tokens)


def frame_token_mask(
    size: GridSize,
    mask_ratio: float = 0.9,
    *,
    num_prefix_tokens: int = 0,
    generator: Generator | None = None,
    device: torch.device | str | None = None,
) -> tuple[Tensor, Tensor]:
    """Draws masks that hide whole tubelets in time.

    Args:
        size: Batch size and token grid (B, (t, h, w)).
        mask_ratio: Share of tokens to mask, in (0, 1).
        num_prefix_tokens: Class tokens of the model: kept, first, shift the others.
        generator: Source of randomness, of any device; None for torch's global one.
        device: Device of the indices.

    Returns:
        Tuple (idx_keep, idx_mask) as of `tube_token_mask`.

    Raises:
        ValueError: If a size or the ratio is out of range.
    """
    batch, tubelets, patches = _check_size(size)
    num_keep = num_visible(tubelets * patches, mask_ratio)
    every = torch.ones(batch, tubelets, dtype=torch.bool, device=device)
    frames = select_tokens(every, num_visible_at_least(tubelets, mask_ratio), generator)
    candidates = frames.unsqueeze(2).expand(-1, -1, patches).flatten(1)
    visible = select_tokens(candidates, num_keep, generator)
    return split_tokens(visible, num_keep, num_prefix_tokens)


def random_tubelet_mask(
    size: GridSize,
    mask_ratio: float = 0.9,
    *,
    num_prefix_tokens: int = 0,
    generator: Generator | None = None,
    device: torch.device | str | None = None,
) -> tuple[Tensor, Tensor]:
    """Draws masks over all tokens of the clip alike.

    Args:
        size: Batch size and token grid (B, (t, h, w)).
        mask_ratio: Share of tokens to mask, in (0, 1).
        num_prefix_tokens: Class tokens of the model: kept, first, shift the others.
        generator: Source of randomness, of any device; None for torch's global one.
        device: Device of the indices.

    Returns:
        Tuple (idx_keep, idx_mask) as of `tube_token_mask`.

    Raises:
        ValueError: If a size or the ratio is out of range.
    """
    batch, tubelets, patches = _check_size(size)
    num_keep = num_visible(tubelets * patches, mask_ratio)
    every = torch.ones(batch, tubelets * patches, dtype=torch.bool, device=device)
    visible = select_tokens(every, num_keep, generator)
    return split_tokens(visible, num_keep, num_prefix_tokens)


def _check_size(size: GridSize) -> tuple[int, int, int]:
    """Returns batch size, tubelets in time, and patches per tubelet."""
    try:
        batch, (tubelets, height, width) = size
    except (TypeError, ValueError):
        raise ValueError(
            f"Invalid size {size!r}. Supported is (B, (t, h, w))."
        ) from None
    if min(batch, tubelets, height, width) <= 0:
        raise ValueError(f"Invalid size {size!r}: all numbers must be positive.")
    return batch, tubelets, height * width
