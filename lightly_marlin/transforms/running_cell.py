"""Running cell masking of the decoder: only a part of the masked tokens is decoded.

- [0]: VideoMAE V2, 2023, https://arxiv.org/abs/2303.16727 (dual masking)
- [1]: MAR, 2022, https://arxiv.org/abs/2207.11660 (cell running masking)

In [0] the decoder gets a fixed pattern of all tokens, and what the encoder saw does not
count in the loss, so the number of tokens that do count differs from clip to clip.
Here the pattern chooses among the masked tokens alone, and as many are chosen in every
clip: where the pattern holds too many, random ones are left out, where it holds too
few, random ones of the next place of the cells are added.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from lightly_marlin.transforms.mask_indices import indices_to_mask
from lightly_marlin.transforms.token_selection import draw_uniform

__all__ = ["running_cell_decoder_mask"]

# Places of a 2x2 cell in the order in which the pattern runs through them: a circle.
_CIRCLE = ((0, 1), (3, 2))
_PLACES = 4


def running_cell_decoder_mask(
    idx_mask: Tensor,
    grid: tuple[int, int, int],
    decode_ratio: float = 0.5,
    *,
    num_prefix_tokens: int = 0,
    generator: Generator | None = None,
) -> Tensor:
    """Chooses the masked tokens to decode, so that every place has its turn in time.

    Cells of 2x2 tokens tile each tubelet. At a ratio of 0.5, two neighbouring places of
    each cell are decoded, and from tubelet to tubelet the pair moves on by one place,
    round the cell; where it begins is drawn once per clip.

    The result takes the place of `idx_mask` in `Marlin(videos, idx_keep, idx_mask)` and
    in `MarlinReconstructionLoss`.

    Args:
        idx_mask: int64 indices of the masked tokens, ascending, (B, n_mask).
        grid: Token grid (t, h, w).
        decode_ratio: Share of the masked tokens to decode, in (0, 1].
        num_prefix_tokens: Class tokens by which the indices are shifted.
        generator: Source of randomness, of any device; None for torch's global one.

    Returns:
        int64 indices (B, int(n_mask * decode_ratio)), ascending, a part of `idx_mask`,
        on its device.

    Raises:
        ValueError: If an argument is out of shape or range.
    """
    if not 0.0 < decode_ratio <= 1.0:
        raise ValueError(
            f"Invalid decode_ratio {decode_ratio}. Supported values are in (0, 1]."
        )
    if len(grid) != 3 or min(grid) < 1:
        raise ValueError(
            f"Invalid grid {grid!r}. Supported is (t, h, w), all numbers positive."
        )
    # The slack keeps 29 of 100 at a ratio of 0.29, although 100 * 0.29 is a bit less.
    count = int(idx_mask.shape[-1] * decode_ratio + 1e-6)
    if count == 0:
        raise ValueError(
            f"Invalid decode_ratio {decode_ratio}: it decodes none of "
            f"{idx_mask.shape[-1]} masked tokens."
        )
    masked = indices_to_mask(idx_mask - num_prefix_tokens, math.prod(grid))
    turn = _turns(len(idx_mask), grid, idx_mask.device, generator)
    # All places of the pattern are alike; those after it only fill up.
    width = math.ceil(_PLACES * decode_ratio - 1e-6)
    turn = turn.masked_fill(turn < width, 0)
    scores = draw_uniform(tuple(turn.shape), turn.device, generator) + turn
    scores = scores.masked_fill(~masked, _PLACES + 1.0)
    chosen = scores.topk(count, dim=1, largest=False).indices
    return chosen.sort(dim=1).values + num_prefix_tokens


def _turns(
    batch: int,
    grid: tuple[int, int, int],
    device: torch.device,
    generator: Generator | None,
) -> Tensor:
    """Returns int64 (B, N) in [0, 4): how many tubelets until a token's turn begins."""
    tubelets, height, width = grid
    circle = torch.tensor(_CIRCLE, device=device)
    rows = torch.arange(height, device=device) % 2
    columns = torch.arange(width, device=device) % 2
    place = circle[rows[:, None], columns[None, :]].flatten()
    start = (draw_uniform((batch, 1, 1), device, generator) * _PLACES).long()
    tubelet = torch.arange(tubelets, device=device).view(1, -1, 1)
    return ((place - start - tubelet) % _PLACES).flatten(1)
