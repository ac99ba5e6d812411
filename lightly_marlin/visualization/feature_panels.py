"""What one token of a clip has to do with all others, side by side with the clip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image
from torch import Tensor

from lightly_marlin.visualization.drawing import text_block
from lightly_marlin.visualization.feature_overlay import STRENGTH, feature_overlay
from lightly_marlin.visualization.legend import heat_scale

__all__ = ["FeaturePanels", "feature_panels"]

# Of attention, a few tokens would leave all others black.
_BRIGHTEST = 0.99

_SIMILARITY = "similarity: cosine of two features"
_ATTENTION = "attention in the last block, in multiples of an even share"


class FeaturePanels(NamedTuple):
    """Clips (1, 3, T, H, W) by caption, and what stands below them at a width."""

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
    """Paints over a clip how alike its tokens are to one, and where that one attends.

    Args:
        clip: uint8 tensor (1, 3, T, H, W).
        similarity: Cosine similarities of all tokens to that one, (1, N).
        attention: Its attention to all tokens, (1, N) with a sum of 1.
        token: Its index, for a green frame; None for the mean of all tokens.
        tubelet_size: Frames per tubelet.
        patch_size: Side of a patch in pixels.

    Returns:
        The clip, similarity and attention, with scales. The highest hundredth of the
        attention looks the same.
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
        "original": clip.float() / 255,
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
            heat_scale(width, _SIMILARITY, low, high, strength=STRENGTH),
            heat_scale(width, _ATTENTION, weak, strong, strength=STRENGTH),
            text_block(note, width),
        )

    return FeaturePanels(panels, footer)


def _value_range(values: Tensor, brightest: float) -> tuple[float, float]:
    """Returns the lowest value and a quantile, a little above it if all are equal."""
    low, high = float(values.min()), float(values.quantile(brightest))
    return low, max(high, low + 1e-6)
