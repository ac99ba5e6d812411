"""Thumbnails of the lowest and highest examples of each column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from lightly_marlin.visualization.drawing import PAPER, SOFT, draw_text, fit_text

__all__ = ["Example", "ExampleRow", "example_sheet"]

_SIDE = 120
_GAP = 8
_MARGIN = 24
_BETWEEN = 40
_HEADING = 34
_CAPTION = 38


@dataclass(frozen=True)
class Example:
    """Thumbnail with its value and name."""

    picture: Image.Image
    value: float
    name: str


@dataclass(frozen=True)
class ExampleRow:
    """Examples of one column: the lowest and the highest, each in ascending order."""

    title: str
    lowest: Sequence[Example]
    highest: Sequence[Example]


def example_sheet(rows: Sequence[ExampleRow]) -> Image.Image:
    """Draws one row per column: the lowest examples, then the highest.

    Args:
        rows: Examples by column, at least one row.

    Returns:
        RGB image.
    """
    lows = max(len(row.lowest) for row in rows)
    highs = max(len(row.highest) for row in rows)
    width = 2 * _MARGIN + (lows + highs) * (_SIDE + _GAP) + _BETWEEN
    height = _HEADING + _SIDE + _CAPTION + 2 * _GAP
    sheet = Image.new("RGB", (width, len(rows) * height + 2 * _MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    right = _MARGIN + lows * (_SIDE + _GAP) + _BETWEEN
    for number, row in enumerate(rows):
        top = _MARGIN + number * height
        draw_text(draw, (_MARGIN, top + 6), f"{row.title}: lowest", 15)
        draw_text(draw, (right, top + 6), "highest", 15)
        for left, examples in ((_MARGIN, row.lowest), (right, row.highest)):
            for place, example in enumerate(examples):
                x = left + place * (_SIDE + _GAP)
                _draw(sheet, draw, example, (x, top + _HEADING))
    return sheet


def _draw(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    example: Example,
    corner: tuple[int, int],
) -> None:
    """Draws a thumbnail with its value and name below."""
    x, y = corner
    picture = example.picture.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    sheet.paste(picture, corner)
    draw_text(draw, (x, y + _SIDE + 4), f"{example.value:.3g}", 14)
    name = fit_text(example.name, 11, _SIDE)
    draw_text(draw, (x, y + _SIDE + 21), name, 11, SOFT)
