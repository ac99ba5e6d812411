"""Masks of several strategies over the same clip, side by side."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from lightly_marlin.visualization.drawing import draw_text, fit_text, stack
from lightly_marlin.visualization.mask_legend import mask_legend
from lightly_marlin.visualization.mask_overlay import hatch_undecoded, mask_overlay

__all__ = ["mask_animation", "mask_sheet"]

_CAPTION_HEIGHT = 16
_FONT = 12
_GAP = 2


def mask_sheet(
    video: Tensor,
    masks: Mapping[str, Tensor],
    cells: Tensor | None = None,
    *,
    num_frames: int = 6,
    side: int = 160,
    tubelet_size: int = 2,
    patch_size: int = 16,
    decoded: Mapping[str, Tensor] | None = None,
) -> Image.Image:
    """Draws a row of frames for every strategy, and a legend.

    Args:
        video:
            Clip with shape (3, T, H, W), uint8 in [0, 255] or floating point in [0, 1].
        masks: Captions with the int64 indices of masked tokens, (n_mask,) each.
        cells: int32 bit masks of region cells (T, H / 8, W / 8), for their colours.
        num_frames:
            Frames to show: the first of tubelets at even distances. As many as there
            are tubelets show the whole mask.
        side: Width and height of a frame in the picture, in pixels.
        tubelet_size: Frames per tubelet.
        patch_size: Side of a patch in pixels.
        decoded:
            Of captions whose masked tokens are not all decoded: the int64 indices of
            those that are, (n_decode,).

    Returns:
        RGB image; the first row is the clip without a mask.

    Raises:
        ValueError: If `num_frames` or `side` is below 1.
    """
    for name, value in (("num_frames", num_frames), ("side", side)):
        if value < 1:
            raise ValueError(f"Invalid {name} {value}: must be at least 1.")
    rows = _paint(video, masks, cells, tubelet_size, patch_size, decoded or {})
    tubelets = torch.linspace(0, video.shape[1] // tubelet_size - 1, num_frames)
    index = (tubelets.round().long() * tubelet_size).tolist()
    height = side + _CAPTION_HEIGHT
    size = (num_frames * (side + _GAP), len(rows) * height)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    captions = [f"original, frames {', '.join(map(str, index))}", *masks]
    for number, (name, frames) in enumerate(zip(captions, rows.values(), strict=True)):
        _write_caption(draw, (2, number * height), name, size[0] - 4)
        for column, frame in enumerate(index):
            place = (column * (side + _GAP), number * height + _CAPTION_HEIGHT)
            sheet.paste(_to_image(frames[:, frame], side), place)
    return _with_legend(sheet, cells, decoded)


def mask_animation(
    video: Tensor,
    masks: Mapping[str, Tensor],
    cells: Tensor | None = None,
    *,
    columns: int = 4,
    side: int = 160,
    tubelet_size: int = 2,
    patch_size: int = 16,
    decoded: Mapping[str, Tensor] | None = None,
) -> list[Image.Image]:
    """Draws all strategies into every frame of an animation, over a legend.

    Args:
        video: Clip as in `mask_sheet`.
        masks: Masks as in `mask_sheet`.
        cells: Region cells as in `mask_sheet`.
        columns: Strategies in a row.
        side: Width and height of a frame in the picture, in pixels.
        tubelet_size: Frames per tubelet.
        patch_size: Side of a patch in pixels.
        decoded: As in `mask_sheet`.

    Returns:
        One RGB image per frame of the clip, the clip without a mask first.

    Raises:
        ValueError: If `columns` or `side` is below 1.
    """
    for name, value in (("columns", columns), ("side", side)):
        if value < 1:
            raise ValueError(f"Invalid {name} {value}: must be at least 1.")
    panels = _paint(video, masks, cells, tubelet_size, patch_size, decoded or {})
    height = side + _CAPTION_HEIGHT
    size = (columns * (side + _GAP), -(-len(panels) // columns) * height)
    pictures = []
    for frame in range(video.shape[1]):
        picture = Image.new("RGB", size, "white")
        draw = ImageDraw.Draw(picture)
        for number, (name, frames) in enumerate(panels.items()):
            row, column = divmod(number, columns)
            left, top = column * (side + _GAP), row * height
            _write_caption(draw, (left + 2, top), name, side - 2)
            image = _to_image(frames[:, frame], side)
            picture.paste(image, (left, top + _CAPTION_HEIGHT))
        pictures.append(_with_legend(picture, cells, decoded))
    return pictures


def _write_caption(
    draw: ImageDraw.ImageDraw, place: tuple[int, int], name: str, width: int
) -> None:
    draw_text(draw, place, fit_text(name, _FONT, width), _FONT)


def _with_legend(
    picture: Image.Image, cells: Tensor | None, decoded: Mapping[str, Tensor] | None
) -> Image.Image:
    legend = mask_legend(
        picture.width, regions=cells is not None, undecoded=bool(decoded)
    )
    return stack([picture, legend], gap=_GAP)


def _paint(
    video: Tensor,
    masks: Mapping[str, Tensor],
    cells: Tensor | None,
    tubelet_size: int,
    patch_size: int,
    decoded: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """Returns float32 clips (3, T, H, W) in [0, 1] by caption, the original first."""
    original = video.float() / 255 if video.dtype == torch.uint8 else video.float()
    batch_cells = None if cells is None else cells.unsqueeze(0)
    painted = {"original": original}
    sizes = {"tubelet_size": tubelet_size, "patch_size": patch_size}
    for name, idx_mask in masks.items():
        idx = idx_mask.unsqueeze(0)
        clips = mask_overlay(video.unsqueeze(0), idx, batch_cells, **sizes)
        if name in decoded:
            clips = hatch_undecoded(clips, idx, decoded[name].unsqueeze(0), **sizes)
        painted[name] = clips[0]
    return painted


def _to_image(frame: Tensor, side: int) -> Image.Image:
    pixels = frame.clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0)
    image = Image.fromarray(pixels.cpu().contiguous().numpy(), "RGB")
    return image.resize((side, side), Image.Resampling.BILINEAR)
