"""Position tables of a checkpoint, brought to the clip size of another model."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor

from lightly_marlin.utils.errors import UsageError

__all__ = ["RELEASED_GRID", "Grid", "guess_grid", "interpolate_positions"]

Grid = tuple[int, int, int]
"""Tokens along time, height and width."""

RELEASED_GRID: Grid = (8, 14, 14)
"""The grid of every released checkpoint of MARLIN, and of VideoMAE's."""


def interpolate_positions(table: Tensor, source: Grid, target: Grid) -> Tensor:
    """Stretches a position table over another grid of tokens.

    Also right for MARLIN's fixed table, although sines and cosines could be computed
    for any number of tokens: its positions count along the flattened grid, so in a
    grid with other rows the same number stands for another place, and blocks that
    learned where a number lies would be misled. The interpolated row of a token is a
    mean of the rows of the places around it, each known to the blocks.

    Args:
        table: Floating-point tensor (1, N, D) over the flattened grid.
        source: The grid of the table, of N tokens.
        target: The grid to stretch it over.

    Returns:
        Tensor (1, product of `target`, D) of the same dtype, trilinear between the
        centres of the tokens. An axis of the same length is left as it is.
    """
    grid = table.float().reshape(1, *source, -1).movedim(-1, 1)
    grid = F.interpolate(grid, size=target, mode="trilinear", align_corners=False)
    return grid.flatten(2).transpose(1, 2).to(table.dtype).contiguous()


def guess_grid(num_tokens: int, target: Grid) -> Grid:
    """Tells how the positions of a table that came without a configuration lie.

    Args:
        num_tokens: Positions of the table.
        target: The grid of the model that the table is for.

    Returns:
        The released grid if the number is its; else the grid of as many tubelets in
        time as the model and square frames; else that of frames like the model's.

    Raises:
        UsageError: If none of them has so many positions.
    """
    time, height, width = target
    if num_tokens == math.prod(RELEASED_GRID):
        return RELEASED_GRID
    side = math.isqrt(num_tokens // time)
    if time * side**2 == num_tokens:
        return time, side, side
    if num_tokens % (height * width) == 0:
        return num_tokens // (height * width), height, width
    raise UsageError(
        f"It cannot be told how {num_tokens} positions lie in time and space. Put the "
        "config.json of their model beside the weights, or change either num_frames "
        "or img_size alone."
    )
