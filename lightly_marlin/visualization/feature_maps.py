"""Feature maps of a clip: token similarity and attention, painted over its frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lightly_marlin.utils.luma import LUMA
from lightly_marlin.visualization.drawing import text_block
from lightly_marlin.visualization.heat import heat_colors, heat_scale
from lightly_marlin.visualization.panels import panel_clips

__all__ = ["FeaturePanels", "feature_overlay", "feature_panels"]

_STRENGTH = 0.6

_BORDER = 2
_BORDER_COLOR = (0.35, 1.0, 0.55)

# A few tokens with high attention would leave all others black.
_BRIGHTEST = 0.99

_SIMILARITY = "similarity: cosine of two features"
_ATTENTION = "attention in the last block, in multiples of an even share"


def feature_overlay(
    videos: Tensor,
    values: Tensor,
    value_range: tuple[float, float],
    *,
    query: int | None = None,
    tubelet_size: int = 2,
    patch_size: int = 16,
    strength: float = _STRENGTH,
) -> Tensor:
    """Paints a value per token over clips, from black to pale yellow.

    The clips are shown in grey, so every colour is part of the heat map.

    Args:
        videos:
            Tensor with shape (B, 3, T, H, W), uint8 in [0, 255] or floating point in
            [0, 1].
        values: Floating-point tensor (B, N), in (time, row, column) order.
        value_range: The values of the darkest and the brightest colour; others are
            clipped.
        query: Index in [0, N) of a token to frame in green.
        tubelet_size: Frames per tubelet.
        patch_size: Side of a patch in pixels.
        strength: Opacity of the paint in [0, 1].

    Returns:
        float32 tensor (B, 3, T, H, W) in [0, 1].

    Raises:
        ValueError: If the shape of `values`, the range or `query` is invalid.
    """
    clips = panel_clips(videos)
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
    """Returns clips (B, 3, T, H, W) in grey."""
    red, green, blue = (
        weight * part for weight, part in zip(LUMA, clips.unbind(dim=1), strict=True)
    )
    luma = red + green + blue
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


class FeaturePanels(NamedTuple):
    """Clips (1, 3, T, H, W) by caption, and the pictures below them for a width."""

    panels: dict[str, Tensor]
    footer: Callable[[int], Sequence[Image.Image]]


def feature_panels(
    clip: Tensor,
    similarity: Tensor,
    attention: Tensor,
    *,
    token: int | None = None,
    tubelet_size: int = 2,
    patch_size: int = 16,
) -> FeaturePanels:
    """Paints a token's similarity to all tokens and its attention over a clip.

    Args:
        clip: uint8 tensor (1, 3, T, H, W).
        similarity: Cosine similarities of all tokens to the token, (1, N).
        attention: Attention of the token to all tokens, (1, N) with a sum of 1.
        token: Index of the token, framed in green; None for the mean of all tokens.
        tubelet_size: Frames per tubelet.
        patch_size: Side of a patch in pixels.

    Returns:
        The clip, similarity and attention, with scales. The highest hundredth of the
        attention is clipped.
    """
    sizes = {"tubelet_size": tubelet_size, "patch_size": patch_size}
    attention = attention * attention.shape[1]
    similarity_range = _value_range(similarity, 1.0)
    attention_range = _value_range(attention, _BRIGHTEST)
    captions = ("similarity to the mean", "mean attention")
    note = f"A square is a token, {tubelet_size} frames long."
    if token is not None:
        _, _, frames, height, width = clip.shape
        grid = (frames // tubelet_size, height // patch_size, width // patch_size)
        place = ",".join(str(index) for index in np.unravel_index(token, grid))
        captions = (f"similarity to token {place}", f"attention of token {place}")
        note += f" Token {place} (time, row, column) is framed in green."
    panels = {
        "original": panel_clips(clip),
        captions[0]: feature_overlay(
            clip, similarity, similarity_range, query=token, **sizes
        ),
        captions[1]: feature_overlay(
            clip, attention, attention_range, query=token, **sizes
        ),
    }

    def footer(width: int) -> Sequence[Image.Image]:
        low, high = (f"{value:.2f}" for value in similarity_range)
        weak, strong = (f"{value:.2f}" for value in attention_range)
        strong += " and more"
        return (
            heat_scale(width, _SIMILARITY, low, high, strength=_STRENGTH),
            heat_scale(width, _ATTENTION, weak, strong, strength=_STRENGTH),
            text_block(note, width),
        )

    return FeaturePanels(panels, footer)


def _value_range(values: Tensor, brightest: float) -> tuple[float, float]:
    """Returns the lowest value and a quantile, made higher if all are equal."""
    low, high = float(values.min()), float(values.quantile(brightest))
    return low, max(high, low + 1e-6)
