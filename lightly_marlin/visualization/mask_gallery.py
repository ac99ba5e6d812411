"""Masks of several strategies over the same clip, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from PIL import Image
from torch import Tensor

from lightly_marlin.visualization.legend import region_legend
from lightly_marlin.visualization.mask_overlay import mask_overlay
from lightly_marlin.visualization.panels import PanelText, panel_animation, panel_sheet

__all__ = ["mask_animation", "mask_sheet"]


def mask_sheet(
    video: Tensor,
    masks: Mapping[str, Tensor],
    cells: Tensor | None = None,
    *,
    num_frames: int = 6,
    side: int = 160,
    tubelet_size: int = 2,
    patch_size: int = 16,
    text: PanelText | None = None,
) -> Image.Image:
    """Draws a row of frames for every strategy.

    Args:
        video:
            Clip with shape (3, T, H, W), uint8 in [0, 255] or floating point in [0, 1].
        masks: Captions with the int64 indices of masked tokens, (n_mask,) each.
        cells: int32 bit masks of region cells (T, H / 8, W / 8), for their colours.
        num_frames: Frames to show, at even distances.
        side: Width and height of a frame in the picture, in pixels.
        tubelet_size: Frames per tubelet.
        patch_size: Side of a patch in pixels.
        text: Title and moments; with cells, their legend stands below.

    Returns:
        RGB image; the first row is the clip without a mask.

    Raises:
        ValueError: If `num_frames` or `side` is below 1.
    """
    for name, value in (("num_frames", num_frames), ("side", side)):
        if value < 1:
            raise ValueError(f"Invalid {name} {value}: must be at least 1.")
    panels = _paint(video, masks, cells, tubelet_size, patch_size)
    index = torch.linspace(0, video.shape[1] - 1, num_frames).round().long().tolist()
    around = _with_legend(text, cells)
    return panel_sheet(panels, index, side=side, text=around)


def mask_animation(
    video: Tensor,
    masks: Mapping[str, Tensor],
    cells: Tensor | None = None,
    *,
    columns: int = 5,
    side: int = 160,
    tubelet_size: int = 2,
    patch_size: int = 16,
    text: PanelText | None = None,
) -> list[Image.Image]:
    """Draws all strategies into every frame of an animation.

    Args:
        video: Clip as in `mask_sheet`.
        masks: Masks as in `mask_sheet`.
        cells: Region cells as in `mask_sheet`.
        columns: Strategies in a row.
        side: Width and height of a frame in the picture, in pixels.
        tubelet_size: Frames per tubelet.
        patch_size: Side of a patch in pixels.
        text: As in `mask_sheet`.

    Returns:
        One RGB image per frame of the clip, the clip without a mask first.

    Raises:
        ValueError: If `columns` or `side` is below 1.
    """
    for name, value in (("columns", columns), ("side", side)):
        if value < 1:
            raise ValueError(f"Invalid {name} {value}: must be at least 1.")
    panels = _paint(video, masks, cells, tubelet_size, patch_size)
    around = _with_legend(text, cells)
    return panel_animation(panels, side=side, columns=columns, text=around)


def _with_legend(text: PanelText | None, cells: Tensor | None) -> PanelText:
    """Returns the text with the legend of the regions, if they are painted."""
    text = PanelText() if text is None else text
    return text if cells is None else replace(text, footer=_legend)


def _legend(width: int) -> Sequence[Image.Image]:
    return (region_legend(width, background="background"),)


def _paint(
    video: Tensor,
    masks: Mapping[str, Tensor],
    cells: Tensor | None,
    tubelet_size: int,
    patch_size: int,
) -> dict[str, Tensor]:
    """Returns clips (1, 3, T, H, W) in [0, 1] by caption, the original first."""
    original = video.float() / 255 if video.dtype == torch.uint8 else video.float()
    batch_cells = None if cells is None else cells.unsqueeze(0)
    painted = {"original": original.unsqueeze(0)}
    for name, idx_mask in masks.items():
        painted[name] = mask_overlay(
            video.unsqueeze(0),
            idx_mask.unsqueeze(0),
            batch_cells,
            tubelet_size=tubelet_size,
            patch_size=patch_size,
        )
    return painted
