"""Positional embeddings of a checkpoint, interpolated to a model's clip size."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor

from lightly_marlin.models.config import MarlinConfig
from lightly_marlin.utils.errors import UsageError

__all__ = [
    "RELEASED_GRID",
    "Grid",
    "fit_positions",
    "guess_grid",
    "interpolate_positions",
    "warn_of_positions",
]

Grid = tuple[int, int, int]
"""Tokens along time, height and width."""

RELEASED_GRID: Grid = (8, 14, 14)
"""The grid of every released checkpoint of MARLIN, and of VideoMAE's."""


def interpolate_positions(table: Tensor, source: Grid, target: Grid) -> Tensor:
    """Resamples a positional embedding for another grid of tokens.

    This also suits MARLIN's fixed embedding, although sines and cosines could be
    computed for any number of tokens: its positions count along the flattened grid, so
    in a grid with other rows the same number means another place, which would mislead
    blocks that learned the original places. The interpolated row of a token is a
    weighted mean of the rows of neighbouring places, each known to the blocks.

    Args:
        table: Floating-point tensor (1, N, D) over the flattened grid.
        source: The grid of the embedding, of N tokens.
        target: The grid to resample it for.

    Returns:
        Tensor (1, product of `target`, D) of the same dtype, trilinear between the
        centres of the tokens. An axis of the same length is left as it is.
    """
    grid = table.float().reshape(1, *source, -1).movedim(-1, 1)
    grid = F.interpolate(grid, size=target, mode="trilinear", align_corners=False)
    return grid.flatten(2).transpose(1, 2).to(table.dtype).contiguous()


def guess_grid(num_tokens: int, target: Grid) -> Grid:
    """Guesses the grid of a positional embedding in the absence of a configuration.

    Args:
        num_tokens: Number of positions N.
        target: The grid of the model.

    Returns:
        The released grid if it has this number of positions; else the grid with the
        model's number of tubelets in time and square frames; else the grid with the
        model's frames.

    Raises:
        UsageError: If none of them has this number of positions.
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
        f"Cannot infer how {num_tokens} positions are laid out in time and space. Put "
        "the config.json of their model beside the weights, or change either "
        "num_frames or img_size alone."
    )


def fit_positions(
    own: Mapping[str, Tensor],
    found: dict[str, Tensor],
    config: MarlinConfig,
    saved: MarlinConfig | None,
) -> set[Grid]:
    """Interpolates the embeddings of a checkpoint that are for other clips.

    Args:
        own: The model's weights by their names in `Marlin.state_dict()`.
        found: Weights of the checkpoint by the same names; embeddings are replaced in
            place.
        config: Configuration of the model.
        saved: Configuration of the checkpoint; None to guess its grid.

    Returns:
        The grids that the interpolated embeddings were for; empty if there were none.

    Raises:
        UsageError: A ValueError, if the grid cannot be guessed.
    """
    kernel = found.get("encoder.patch_embed.weight")
    if kernel is None or kernel.shape[1:] != (config.patch_dim,):
        return set()  # Another patch size: no grid makes it fit.
    grids = set()
    for name, tensor in own.items():
        table = found.get(name)
        if not name.endswith(".pos_embed") or table is None or table.ndim != 3:
            continue
        if table.shape[::2] != tensor.shape[::2]:
            continue  # Another width: reported with the other shapes.
        count = table.shape[1]
        if saved is not None and saved.num_tokens == count:
            grid = saved.grid
        elif count == config.num_tokens:
            grid = config.grid
        else:
            grid = guess_grid(count, config.grid)
        if grid != config.grid:
            found[name] = interpolate_positions(table, grid, config.grid)
            grids.add(grid)
    return grids


def warn_of_positions(
    own: Mapping[str, Tensor],
    found: Mapping[str, Tensor],
    grids: set[Grid],
    config: MarlinConfig,
    weights: Path,
) -> None:
    """Warns about embeddings that were interpolated, or computed for an unusual size.

    Args:
        own: The model's weights by their names in `Marlin.state_dict()`.
        found: Weights of the checkpoint by the same names.
        grids: Grids that embeddings were interpolated from.
        config: Configuration of the model.
        weights: Path of the checkpoint.
    """
    advice = "fine-tune before you rely on what the model computes."
    size = _times(config.grid)
    if grids:
        warnings.warn(
            f"The positional embeddings in {weights} are for "
            f"{' and '.join(_times(grid) for grid in sorted(grids))} tokens (time x "
            f"height x width) and were interpolated to {size}: {advice}",
            stacklevel=4,
        )
    absent = any(n.endswith(".pos_embed") and n not in found for n in own)
    if absent and config.grid != RELEASED_GRID:
        warnings.warn(
            f"There are no positional embeddings in {weights}; those of the model's "
            f"{size} tokens were computed. If it was trained on "
            f"{_times(RELEASED_GRID)}, {advice}",
            stacklevel=4,
        )


def _times(grid: Grid) -> str:
    return "x".join(map(str, grid))
