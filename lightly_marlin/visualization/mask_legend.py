"""What the colours in pictures of masks mean."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageDraw

from lightly_marlin.regions import Label
from lightly_marlin.visualization.drawing import PAPER, draw_text, fit_text, text_width
from lightly_marlin.visualization.mask_overlay import REGION_COLORS, hatch

__all__ = ["mask_legend"]

_FONT = 12
_SWATCH = 12
_LINE = 18
_SPACE = 12

_NAMES = {
    "background": Label.BACKGROUND,
    "skin": Label.SKIN,
    "hair": Label.HAIR,
    "eyebrows": Label.LEFT_EYEBROW,
    "eyes": Label.LEFT_EYE,
    "nose": Label.NOSE,
    "lips": Label.UPPER_LIP,
    "inner mouth": Label.INNER_MOUTH,
}


def mask_legend(width: int, *, regions: bool, undecoded: bool) -> Image.Image:
    """Draws a legend, in as many lines as it needs.

    Args:
        width: Of the picture, in pixels.
        regions: Whether masked tokens are painted in the colours of regions.
        undecoded: Whether masked tokens that are not decoded are hatched.

    Returns:
        RGB image, `width` wide.
    """
    entries: list[tuple[Image.Image | None, str]] = [(None, "As filmed: visible.")]
    if regions:
        entries.append((None, "Painted: hidden from the encoder, over"))
        entries += [(_swatch(label), name) for name, label in _NAMES.items()]
    else:
        entries.append((_swatch(Label.BACKGROUND), "hidden from the encoder"))
    if undecoded:
        entries.append((_swatch(None), "hidden and not decoded either"))

    places = []
    left, line = 0, 0
    for swatch, text in entries:
        indent = 0 if swatch is None else _SWATCH + 4
        text = fit_text(text, _FONT, width - indent)
        used = indent + text_width(text, _FONT)
        if left and left + used > width:
            left, line = 0, line + 1
        places.append((left, line * _LINE, swatch, indent, text))
        left += used + _SPACE
    legend = Image.new("RGB", (width, (line + 1) * _LINE), PAPER)
    draw = ImageDraw.Draw(legend)
    for left, top, swatch, indent, text in places:
        if swatch is not None:
            legend.paste(swatch, (left, top + 3))
        draw_text(draw, (left + indent, top + 2), text, _FONT)
    return legend


def _swatch(label: Label | None) -> Image.Image:
    """Returns a square of the colour of a region, or hatched for None."""
    if label is None:
        pixels = hatch(_SWATCH, _SWATCH)
    else:
        pixels = torch.tensor(REGION_COLORS[label]).expand(_SWATCH, _SWATCH, 3)
    colors = (pixels.numpy() * 255).round().astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(colors), "RGB")
