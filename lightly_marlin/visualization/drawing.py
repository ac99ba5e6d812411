"""Text, colours and lines shared by all pictures."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

__all__ = [
    "ACCENT",
    "INK",
    "PALE",
    "PAPER",
    "PERSON_COLORS",
    "SOFT",
    "draw_text",
    "fit_text",
    "overlay_lines",
    "stack",
    "text_block",
    "text_width",
]

Color = tuple[int, int, int]

INK: Color = (31, 35, 40)
SOFT: Color = (101, 109, 118)
PALE: Color = (225, 228, 232)
PAPER: Color = (255, 255, 255)
ACCENT: Color = (31, 111, 235)

PERSON_COLORS: tuple[Color, ...] = (
    (255, 196, 0),
    (0, 184, 255),
    (255, 92, 122),
    (88, 214, 91),
    (190, 128, 255),
    (255, 138, 40),
)
"""Colours that can be distinguished on any footage; people take them in turn."""

# Lines are drawn larger by this factor and shrunk: Pillow has no antialiasing.
_SUPERSAMPLING = 3


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def text_width(text: str, size: int) -> int:
    """Returns the width of a line of text in pixels."""
    return round(_font(size).getlength(text))


def fit_text(text: str, size: int, width: int) -> str:
    """Returns a line that fits, with an ellipsis in its middle if it is too long.

    Args:
        text: Any text; control characters, such as newlines in file names, become "?".
        size: Height of the font in pixels.
        width: Available width in pixels.
    """
    text = "".join("?" if unicodedata.category(c)[0] == "C" else c for c in text)
    if text_width(text, size) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        head, tail = (kept + 1) // 2, kept // 2
        short = f"{text[:head]}…{text[-tail:]}"
        if text_width(short, size) <= width:
            return short
    return "…"


def draw_text(
    draw: ImageDraw.ImageDraw,
    position: tuple[float, float],
    text: str,
    size: int,
    color: Color = INK,
    anchor: str = "la",
) -> None:
    """Writes a line of text.

    Args:
        draw: Drawing context of the picture.
        position: Position of the anchor in pixels.
        text: One line.
        size: Height of the font in pixels.
        color: RGB in [0, 255].
        anchor: Pillow's two-letter anchor, such as "la" for left, top.
    """
    draw.text(position, text, fill=color, font=_font(size), anchor=anchor)


def overlay_lines(
    picture: Image.Image,
    lines: Sequence[tuple[NDArray[np.floating], Color, float]],
    dots: Sequence[tuple[NDArray[np.floating], Color, float]] = (),
) -> Image.Image:
    """Draws smooth lines and dots over a picture.

    Args:
        picture: RGB image.
        lines: Corners (n, 2) of each line in pixels, its colour and its width.
        dots: Points (n, 2) in pixels, their colour and their diameter.

    Returns:
        A new RGB image.
    """
    scale = _SUPERSAMPLING
    size = (picture.width * scale, picture.height * scale)
    # Each colour is blended with its own mask, so that edges have no fringe.
    result = picture.copy()
    masks: dict[Color, ImageDraw.ImageDraw] = {}
    layers: dict[Color, Image.Image] = {}
    for _, color, _ in (*lines, *dots):
        if color not in layers:
            layers[color] = Image.new("L", size, 0)
            masks[color] = ImageDraw.Draw(layers[color])
    for line, color, width in lines:
        corners = [(x, y) for x, y in (line * scale).tolist()]
        masks[color].line(corners, fill=255, width=round(width * scale), joint="curve")
    for points, color, diameter in dots:
        radius = diameter * scale / 2
        for x, y in (points * scale).tolist():
            around = (x - radius, y - radius, x + radius, y + radius)
            masks[color].ellipse(around, fill=255)
    for color, layer in layers.items():
        mask = layer.resize(picture.size, Image.Resampling.BOX)
        result.paste(color, (0, 0), mask)
    return result


def stack(
    pictures: Sequence[Image.Image], gap: int = 0, margin: int = 0
) -> Image.Image:
    """Returns pictures stacked vertically, left-aligned, on the paper colour.

    Args:
        pictures: RGB images, at least one.
        gap: Pixels between them.
        margin: Pixels around them.
    """
    width = max(picture.width for picture in pictures)
    height = sum(picture.height for picture in pictures) + gap * (len(pictures) - 1)
    sheet = Image.new("RGB", (width + 2 * margin, height + 2 * margin), PAPER)
    top = margin
    for picture in pictures:
        sheet.paste(picture, (margin, top))
        top += picture.height + gap
    return sheet


def text_block(text: str, width: int, size: int = 13) -> Image.Image:
    """Returns a text in soft ink, wrapped to the width.

    Args:
        text: Text whose words lose their middle if they are wider than the picture.
        width: Width of the picture in pixels.
        size: Height of the font in pixels.
    """
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".lstrip()
        if text_width(longer, size) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    height = round(1.5 * size)
    picture = Image.new("RGB", (width, height * len(lines)), PAPER)
    draw = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        place = (0, number * height + 2)
        draw_text(draw, place, fit_text(line, size, width), size, SOFT)
    return picture
