"""A value per token, painted over the frames of a clip as heat."""

from __future__ import annotations

import torch
from torch import Tensor

from lightly_marlin.visualization.heat import heat_colors

__all__ = ["STRENGTH", "feature_overlay"]

STRENGTH = 0.6
"""Opacity of the paint."""

_BORDER = 2
_BORDER_COLOR = (0.35, 1.0, 0.55)


def feature_overlay(
    videos: Tensor,
    values: Tensor,
    value_range: tuple[float, float],
    *,
    query: int | None = None,
    tubelet_size: int = 2,
    patch_size: int = 16,
    strength: float = STRENGTH,
) -> Tensor:
    """Paints a value per token over clips, from black to pale yellow.

    The clips are grey below, so that every colour is one of the heat.

    Args:
        videos:
            Tensor with shape (B, 3, T, H, W), uint8 in [0, 255] or floating point in
            [0, 1].
        values: Floating-point tensor (B, N), in (time, row, column) order.
        value_range: The values of the darkest and of the brightest colour; what lies
            beyond looks the same.
        query: Index in [0, N) of a token to frame in green.
        tubelet_size: Frames per tubelet.
        patch_size: Side of a patch in pixels.
        strength: Opacity of the paint in [0, 1].

    Returns:
        float32 tensor (B, 3, T, H, W) in [0, 1].

    Raises:
        ValueError: If the shape of `values`, the range or `query` does not fit.
    """
    clips = videos.float() / 255 if videos.dtype == torch.uint8 else videos.float()
    batch, _, frames, height, width = clips.shape
    grid = (frames // tubelet_size, height // patch_size, width // patch_size)
    num_tokens = grid[0] * grid[1] * grid[2]
    low, high = value_range
    if values.shape != (batch, num_tokens):
        raise ValueError(
            f"Invalid shape of values {tuple(values.shape)}. Supported is "
            f"({batch}, {num_tokens})."
        )
    if not low < high:
        raise ValueError(f"Invalid value_range {value_range}: must be (low, high).")
    if query is not None and not 0 <= query < num_tokens:
        raise ValueError(f"Invalid query {query}. Supported is [0, {num_tokens}).")
    heat = values.float().view(batch, *grid)
    for dim, side in ((1, tubelet_size), (2, patch_size), (3, patch_size)):
        heat = heat.repeat_interleave(side, dim)
    painted = _to_grey(clips) * (1 - strength)
    painted += heat_colors(heat - low, high - low) * strength
    if query is not None:
        _frame_token(painted, query, grid, tubelet_size, patch_size)
    return painted


def _to_grey(clips: Tensor) -> Tensor:
    """Returns clips (B, 3, T, H, W) without their colours."""
    red, green, blue = clips.unbind(dim=1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return luma.unsqueeze(1).expand_as(clips).clone()


def _frame_token(
    clips: Tensor,
    token: int,
    grid: tuple[int, int, int],
    tubelet_size: int,
    patch_size: int,
) -> None:
    """Draws a border around a token, in place."""
    time, rest = divmod(token, grid[1] * grid[2])
    row, column = divmod(rest, grid[2])
    rows = slice(row * patch_size, (row + 1) * patch_size)
    columns = slice(column * patch_size, (column + 1) * patch_size)
    first = time * tubelet_size
    part = clips[:, :, first : first + tubelet_size, rows, columns]
    inner = part[..., _BORDER:-_BORDER, _BORDER:-_BORDER].clone()
    color = torch.tensor(_BORDER_COLOR, device=clips.device)
    part[:] = color.view(1, 3, 1, 1, 1)
    part[..., _BORDER:-_BORDER, _BORDER:-_BORDER] = inner
