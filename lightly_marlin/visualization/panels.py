"""Panels: clips with captions side by side, as a sheet of frames or an animation."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from lightly_marlin.utils.files import atomic_write
from lightly_marlin.visualization.drawing import (
    INK,
    PAPER,
    SOFT,
    draw_text,
    fit_text,
    stack,
)

__all__ = [
    "PanelText",
    "moment_captions",
    "panel_animation",
    "panel_clips",
    "panel_sheet",
    "write_gif",
    "write_panels",
]

_SIZE = 13
_LINE = 22
_GAP = 4
_MARGIN = 8
_MIN_SIDE = 160

_PALETTE_FROM = 4
# Players slow down below two hundredths of a second.
_PAUSES = (20, 500)


@dataclass(frozen=True)
class PanelText:
    """Text and pictures around panels.

    Attributes:
        title: Line above the panels.
        moments: Captions of the T frames of the clip; none if empty.
        footer: Function from a width in pixels to the pictures below: legends, scales.
    """

    title: str = ""
    moments: Sequence[str] = ()
    footer: Callable[[int], Sequence[Image.Image]] = lambda width: ()


_BARE = PanelText()


def moment_captions(frames: Sequence[int], fps: float) -> list[str]:
    """Returns the captions of a clip's frames.

    Args:
        frames: Indices of the frames in the video; a repeated index is padding.
        fps: Frames per second of the video.
    """
    captions = []
    for number, frame in enumerate(frames):
        repeated = number > 0 and frame == frames[number - 1]
        captions.append(
            f"frame {frame}, repeated"
            if repeated
            else f"frame {frame} · {frame / fps:.2f} s"
        )
    return captions


def panel_clips(videos: Tensor) -> Tensor:
    """Returns videos of any shape in the form for panels: float32 in [0, 1].

    Args:
        videos: uint8 in [0, 255] or floating point in [0, 1].
    """
    return videos.float() / 255 if videos.dtype == torch.uint8 else videos.float()


def panel_sheet(
    panels: Mapping[str, Tensor],
    frames: Sequence[int],
    *,
    clip: int = 0,
    side: int | None = None,
    text: PanelText = _BARE,
) -> Image.Image:
    """Draws one row per panel, one column per frame.

    Args:
        panels: Clips (B, 3, T, H, W) in [0, 1] by caption.
        frames: Indices in [0, T) of the frames to show.
        clip: Index of the clip in [0, B).
        side: Width of a frame in the picture in pixels; None for its own, or a whole
            multiple of it that leaves room for captions.
        text: Title, moments and footer around the panels.

    Returns:
        RGB image.
    """
    width, height = _frame_size(panels, side)
    body = Image.new(
        "RGB",
        (
            len(frames) * (width + _GAP) - _GAP,
            _LINE * bool(text.moments) + len(panels) * (height + _LINE),
        ),
        PAPER,
    )
    draw = ImageDraw.Draw(body)
    top = 0
    if text.moments:
        for column, frame in enumerate(frames):
            line = fit_text(text.moments[frame], 12, width)
            draw_text(draw, (column * (width + _GAP), 3), line, 12, SOFT)
        top = _LINE
    for caption, panel in panels.items():
        draw_text(draw, (0, top + 3), fit_text(caption, _SIZE, body.width), _SIZE)
        for column, frame in enumerate(frames):
            image = _to_image(panel[clip, :, frame], (width, height))
            body.paste(image, (column * (width + _GAP), top + _LINE))
        top += height + _LINE
    return _surround(body, text.title, text)


def panel_animation(
    panels: Mapping[str, Tensor],
    *,
    clip: int = 0,
    side: int | None = None,
    columns: int | None = None,
    text: PanelText = _BARE,
) -> list[Image.Image]:
    """Draws the panels side by side, one picture per frame.

    Args:
        panels: Clips (B, 3, T, H, W) in [0, 1] by caption.
        clip: Index of the clip in [0, B).
        side: Width of a frame in the picture in pixels, as in `panel_sheet`.
        columns: Panels per row; None for all of them.
        text: Title, moments and footer around the panels.

    Returns:
        T RGB images of one size.
    """
    width, height = _frame_size(panels, side)
    columns = len(panels) if columns is None else columns
    size = (
        columns * (width + _GAP) - _GAP,
        -(-len(panels) // columns) * (height + _LINE),
    )
    pictures = []
    for frame in range(next(iter(panels.values())).shape[2]):
        body = Image.new("RGB", size, PAPER)
        draw = ImageDraw.Draw(body)
        for number, (caption, panel) in enumerate(panels.items()):
            row, column = divmod(number, columns)
            left, top = column * (width + _GAP), row * (height + _LINE)
            draw_text(draw, (left, top + 3), fit_text(caption, _SIZE, width), _SIZE)
            image = _to_image(panel[clip, :, frame], (width, height))
            body.paste(image, (left, top + _LINE))
        moment = [text.moments[frame]] if text.moments else []
        title = " · ".join([*([text.title] if text.title else []), *moment])
        pictures.append(_surround(body, title, text))
    return pictures


def write_panels(
    folder: Path,
    name: str,
    panels: Mapping[str, Tensor],
    frames: Sequence[int],
    seconds: float,
    text: PanelText,
) -> None:
    """Writes the first clip of panels as PNG and as GIF.

    Args:
        folder: Folder to write to.
        name: Name of the files without suffix.
        panels: Clips (B, 3, T, H, W) in [0, 1] by caption.
        frames: Indices in [0, T) of the frames of the PNG.
        seconds: Duration of the T frames in the GIF.
        text: Title, moments and footer around the panels.
    """
    with atomic_write(folder / f"{name}.png") as path:
        panel_sheet(panels, frames, text=text).save(path)
    with atomic_write(folder / f"{name}.gif") as path:
        write_gif(path, panel_animation(panels, text=text), seconds)


def write_gif(
    path: Path | str, pictures: Sequence[Image.Image], seconds: float
) -> None:
    """Writes pictures as a GIF that loops forever.

    Args:
        path: The file to write.
        pictures: RGB images of one size, at least one.
        seconds: Duration of one loop; each picture is limited to 20 to 500 ms.
    """
    # A shared palette prevents flickering colours; an octree keeps rare colours, such
    # as that of eyes; dithering would shimmer and double the file size.
    step = max(1, len(pictures) // _PALETTE_FROM)
    palette = stack(pictures[::step]).quantize(255, Image.Quantize.FASTOCTREE)
    # Palette colours are means of many, but paper must stay white. Pillow looks up
    # colours in steps of 4, so nearly white colours would become white.
    colors = np.array(palette.getpalette()).reshape(-1, 3)[:255]
    colors[colors.min(axis=1) >= 252] = PAPER
    palette.putpalette([*colors.ravel().tolist(), *PAPER])
    colored = [
        picture.quantize(palette=palette, dither=Image.Dither.NONE)
        for picture in pictures
    ]
    pause = 1000 * seconds / len(pictures)
    pause = min(max(pause, _PAUSES[0]), _PAUSES[1])
    # GIF counts in hundredths of a second: the ends of pauses are rounded, not each
    # pause.
    ends = [round(pause * number / 10) * 10 for number in range(len(pictures) + 1)]
    colored[0].save(
        path,
        save_all=True,
        append_images=colored[1:],
        duration=[stop - start for start, stop in itertools.pairwise(ends)],
        loop=0,
    )


def _frame_size(panels: Mapping[str, Tensor], side: int | None) -> tuple[int, int]:
    """Returns width and height of a frame in the picture."""
    height, width = next(iter(panels.values())).shape[-2:]
    if side is None:
        side = width * max(1, math.ceil(_MIN_SIDE / width))
    return side, max(1, round(height * side / width))


def _surround(body: Image.Image, title: str, text: PanelText) -> Image.Image:
    """Returns the panels with title above and footer below, on paper."""
    parts = [body, *text.footer(body.width)]
    if title:
        heading = Image.new("RGB", (body.width, _LINE), PAPER)
        line = fit_text(title, _SIZE, body.width)
        draw_text(ImageDraw.Draw(heading), (0, 2), line, _SIZE, INK)
        parts.insert(0, heading)
    return stack(parts, _MARGIN // 2, _MARGIN)


def _to_image(frame: Tensor, size: tuple[int, int]) -> Image.Image:
    """Returns a frame (3, H, W) in [0, 1] at a size (width, height)."""
    pixels = frame.clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0)
    image = Image.fromarray(pixels.cpu().contiguous().numpy(), "RGB")
    if image.size == size:
        return image
    # This keeps the edges of tokens sharp when small frames are enlarged.
    enlarged = size[0] % image.width == 0
    way = Image.Resampling.NEAREST if enlarged else Image.Resampling.BILINEAR
    return image.resize(size, way)
