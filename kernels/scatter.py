"""Adding rows back where they were gathered from: the transpose of every gather here.

Rows of one clip that carry the same token number add up. With distinct numbers, which
is what masks give, every sum has one term, so the result does not depend on the order
of the additions and is the same in every run, on every device.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["scatter_tokens", "scatter_tubelets"]


def scatter_tokens(rows: Tensor, idx: Tensor, num_tokens: int) -> Tensor:
    """Adds rows into a table of zeros at their token numbers.

    Args:
        rows: (B, n, D) floating point.
        idx: (B, n) int64 in [0, N).
        num_tokens: N.

    Returns:
        (B, N, D) of the dtype of `rows`.
    """
    batch_size, _, dim = rows.shape
    clip = torch.arange(batch_size, device=idx.device).unsqueeze(1)
    table = rows.new_zeros(batch_size * num_tokens, dim)
    line = (clip * num_tokens + idx).flatten()
    table.index_add_(0, line, rows.reshape(-1, dim))
    return table.view(batch_size, num_tokens, dim)


def scatter_tubelets(
    pixels: Tensor,
    idx: Tensor,
    *,
    shape: tuple[int, ...],
    tubelet_size: int,
    patch_size: int,
) -> Tensor:
    """Adds tubelets into clips of zeros at their places.

    Args:
        pixels: (B, n, P) floating point, in (channel, time, row, column) order.
        idx: (B, n) int64 in [0, N).
        shape: (B, C, T, H, W) of the clips.
        tubelet_size: Frames per tubelet.
        patch_size: Side of a tubelet in pixels.

    Returns:
        (B, C, T, H, W) of the dtype of `pixels`.
    """
    batch_size, channels, frames, height, width = shape
    grid = (frames // tubelet_size, height // patch_size, width // patch_size)
    tokens = scatter_tokens(pixels, idx, grid[0] * grid[1] * grid[2])
    tubelet = (channels, tubelet_size, patch_size, patch_size)
    tokens = tokens.view(batch_size, *grid, *tubelet)
    return tokens.permute(0, 4, 1, 5, 2, 6, 3, 7).reshape(shape)
