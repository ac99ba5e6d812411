"""Gallery of masks of several strategies over the same clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from PIL import Image
from torch import Tensor

from lightly_marlin.visualization.mask_overlay import hatch_undecoded, mask_overlay
from lightly_marlin.visualization.panels import PanelText, panel_animation, panel_sheet
from lightly_marlin.visualization.region_colors import region_legend

__all__ = ["ShownMask", "mask_animation", "mask_sheet"]


@dataclass(frozen=True)
class ShownMask:
    """A mask with its caption.

    Attributes:
        idx_mask: int64 indices of the masked tokens, (n_mask,).
        note: Caption, shown after its name in a sheet.
        idx_decode: int64 indices of the decoded ones among them, (n_decode,); None for
            all. The others are hatched.
    """

    idx_mask: Tensor
    note: str = ""
    idx_decode: Tensor | None = None


def mask_sheet(
    video: Tensor,
    masks: Mapping[str, ShownMask],
    cells: Tensor | None = None,
    *,
    num_frames: int = 6,
    side: int = 160,
    tubelet_size: int = 2,
    patch_size: int = 16,
    text: PanelText | None = None,
) -> Image.Image:
    """Draws a row of frames for every strategy, and a legend.

    Args:
        video:
            Clip with shape (3, T, H, W), uint8 in [0, 255] or floating point in [0, 1].
        masks: Masks by their names.
        cells: int32 bit masks of region cells (T, H / 8, W / 8), for their colours.
        num_frames:
            Frames to show: the first ones of evenly spaced tubelets. One per tubelet
            shows the whole mask.
        side: Width and height of a frame in the picture, in pixels.
        tubelet_size: Frames per tubelet.
        patch_size: Side of a patch in pixels.
        text: Title and moments; the legend is drawn below.

    Returns:
        RGB image; the first row is the clip without a mask.

    Raises:
        ValueError: If `num_frames` or `side` is below 1.
    """
    for name, value in (("num_frames", num_frames), ("side", side)):
        if value < 1:
            raise ValueError(f"Invalid {name} {value}: must be at least 1.")
    noted = {_caption(name, mask): mask for name, mask in masks.items()}
    panels = _paint(video, noted, cells, tubelet_size, patch_size)
    tubelets = torch.linspace(0, video.shape[1] // tubelet_size - 1, num_frames)
    index = (tubelets.round().long() * tubelet_size).tolist()
    around = _with_legend(text, masks, cells)
    return panel_sheet(panels, index, side=side, text=around)


def mask_animation(
    video: Tensor,
    masks: Mapping[str, ShownMask],
    cells: Tensor | None = None,
    *,
    columns: int = 5,
    side: int = 160,
    tubelet_size: int = 2,
    patch_size: int = 16,
    text: PanelText | None = None,
) -> list[Image.Image]:
    """Draws all strategies into every frame of an animation, over a legend.

    Args:
        video: Clip as in `mask_sheet`.
        masks: Masks as in `mask_sheet`.
        cells: Region cells as in `mask_sheet`.
        columns: Strategies per row.
        side: Width and height of a frame in the picture, in pixels.
        tubelet_size: Frames per tubelet.
        patch_size: Side of a patch in pixels.
        text: Title and moments, as in `mask_sheet`.

    Returns:
        One RGB image per frame of the clip, the clip without a mask first.

    Raises:
        ValueError: If `columns` or `side` is below 1.
    """
    for name, value in (("columns", columns), ("side", side)):
        if value < 1:
            raise ValueError(f"Invalid {name} {value}: must be at least 1.")
    panels = _paint(video, masks, cells, tubelet_size, patch_size)
    around = _with_legend(text, masks, cells)
    return panel_animation(panels, side=side, columns=columns, text=around)


def _caption(name: str, mask: ShownMask) -> str:
    return f"{name}: {mask.note}" if mask.note else name


def _with_legend(
    text: PanelText | None, masks: Mapping[str, ShownMask], cells: Tensor | None
) -> PanelText:
    """Returns the text with a legend of the painted tokens."""
    undecoded = any(mask.idx_decode is not None for mask in masks.values())
    footer = partial(_legend, regions=cells is not None, undecoded=undecoded)
    return replace(PanelText() if text is None else text, footer=footer)


def _legend(width: int, *, regions: bool, undecoded: bool) -> Sequence[Image.Image]:
    return (
        region_legend(
            width,
            regions=regions,
            background="background" if regions else "masked",
            hatched="masked and not decoded either" if undecoded else None,
        ),
    )


def _paint(
    video: Tensor,
    masks: Mapping[str, ShownMask],
    cells: Tensor | None,
    tubelet_size: int,
    patch_size: int,
) -> dict[str, Tensor]:
    """Returns clips (1, 3, T, H, W) in [0, 1] by caption, the original first."""
    original = video.float() / 255 if video.dtype == torch.uint8 else video.float()
    batch_cells = None if cells is None else cells.unsqueeze(0)
    painted = {"original": original.unsqueeze(0)}
    sizes = {"tubelet_size": tubelet_size, "patch_size": patch_size}
    for name, mask in masks.items():
        idx = mask.idx_mask.unsqueeze(0)
        painted[name] = mask_overlay(video.unsqueeze(0), idx, batch_cells, **sizes)
        if mask.idx_decode is not None:
            idx_decode = mask.idx_decode.unsqueeze(0)
            painted[name] = hatch_undecoded(painted[name], idx, idx_decode, **sizes)
    return painted
