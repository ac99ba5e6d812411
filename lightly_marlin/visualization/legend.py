"""What the colours of a picture mean: regions, hatching, and scales of heat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from lightly_marlin.regions import Label
from lightly_marlin.visualization.drawing import (
    PAPER,
    SOFT,
    draw_text,
    fit_text,
    text_width,
)
from lightly_marlin.visualization.heat import heat_colors
from lightly_marlin.visualization.mask_overlay import REGION_COLORS, hatch

__all__ = ["heat_scale", "region_legend"]

_SIZE = 13
_LINE = 22
_BOX = 14
_BETWEEN = 20
_BAR = 160

_REGIONS = (
    ("skin", Label.SKIN),
    ("brows", Label.LEFT_EYEBROW),
    ("eyes", Label.LEFT_EYE),
    ("nose", Label.NOSE),
    ("lips", Label.UPPER_LIP),
    ("inner mouth", Label.INNER_MOUTH),
    ("hair", Label.HAIR),
)


def region_legend(
    width: int,
    *,
    regions: bool = True,
    background: str | None = None,
    hatched: str | None = None,
) -> Image.Image:
    """Draws which colour is which region, in as many lines as it takes.

    Args:
        width: Of the picture in pixels.
        regions: Whether regions of the face are painted.
        background: What the colour of the background stands for, if it is painted.
        hatched: What hatching stands for, if there is any.

    Returns:
        RGB image.
    """
    entries = [(name, _swatch(label)) for name, label in _REGIONS if regions]
    if background is not None:
        entries.append((background, _swatch(Label.BACKGROUND)))
    if hatched is not None:
        entries.append((hatched, _to_image(hatch(_BOX, _BOX))))
    places = _flow([name for name, _ in entries], width)
    lines = places[-1][1] + 1 if places else 0
    picture = Image.new("RGB", (width, _LINE * lines), PAPER)
    draw = ImageDraw.Draw(picture)
    for (name, swatch), (left, line) in zip(entries, places, strict=True):
        picture.paste(swatch, (left, _LINE * line + (_LINE - _BOX) // 2), _rounded())
        place = (left + _BOX + 7, _LINE * line + _LINE // 2)
        draw_text(draw, place, name, _SIZE, SOFT, "lm")
    return picture


def _swatch(label: Label) -> Image.Image:
    return _to_image(torch.tensor(REGION_COLORS[label]).expand(_BOX, _BOX, 3))


def _to_image(colors: Tensor) -> Image.Image:
    """Returns float32 colours (height, width, 3) in [0, 1] as an image."""
    pixels = colors.mul(255).round().to(torch.uint8).contiguous().numpy()
    return Image.fromarray(pixels, "RGB")


def _rounded() -> Image.Image:
    """Returns a square with round corners, to paste through."""
    mask = Image.new("L", (_BOX, _BOX))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, _BOX - 1, _BOX - 1), 3, fill=255)
    return mask


def _flow(names: Sequence[str], width: int) -> list[tuple[int, int]]:
    """Returns left edge and line of each entry."""
    places = []
    left = line = 0
    for name in names:
        taken = _BOX + 7 + text_width(name, _SIZE)
        if left > 0 and left + taken > width:
            left, line = 0, line + 1
        places.append((left, line))
        left += taken + _BETWEEN
    return places


def heat_scale(
    width: int, text: str, low: str, high: str, *, strength: float = 1.0
) -> Image.Image:
    """Draws a scale of heat: its lowest number, the colours, its highest, a text.

    Args:
        width: Of the picture in pixels.
        text: What is measured.
        low: The number of the darkest colour.
        high: The number of the brightest colour.
        strength: Opacity of the paint in [0, 1], over mid-grey.

    Returns:
        RGB image.
    """
    picture = Image.new("RGB", (width, _LINE), PAPER)
    draw = ImageDraw.Draw(picture)
    draw_text(draw, (0, _LINE // 2), low, _SIZE, SOFT, "lm")
    left = text_width(low, _SIZE) + 7
    ramp = heat_colors(torch.linspace(0, 1, _BAR).view(1, 1, 1, _BAR))[0, :, 0, 0].T
    colors = (ramp * strength + 0.5 * (1 - strength)).mul(255).round().numpy()
    bar = np.broadcast_to(colors.astype(np.uint8), (_BOX - 2, _BAR, 3))
    picture.paste(Image.fromarray(np.ascontiguousarray(bar)), (left, 5))
    left += _BAR + 7
    draw_text(draw, (left, _LINE // 2), high, _SIZE, SOFT, "lm")
    left += text_width(high, _SIZE) + 14
    text = fit_text(text, _SIZE, max(0, width - left))
    draw_text(draw, (left, _LINE // 2), text, _SIZE, SOFT, "lm")
    return picture
