"""Histograms of many columns on one sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from lightly_marlin.visualization.drawing import (
    ACCENT,
    INK,
    PALE,
    PAPER,
    SOFT,
    draw_text,
)

__all__ = ["histogram_sheet"]

_PANEL = (320, 190)
_MARGIN = 24
_BARS = (44, 118)  # top and height of the bars within a panel
_NUM_BINS = 24
_COLUMNS = 3
_PALE_BAR = (201, 207, 214)


def histogram_sheet(
    columns: Mapping[str, Sequence[float | None]],
    kept: NDArray[np.bool_] | None = None,
) -> Image.Image:
    """Draws a histogram of each column, three side by side.

    Args:
        columns: Values by title; None or not a number was not measured.
        kept:
            bool array with one entry per value: those are drawn in colour over all the
            others; None for all.

    Returns:
        RGB image.
    """
    rows = -(-len(columns) // _COLUMNS)
    width, height = _PANEL
    size = (_COLUMNS * width + 2 * _MARGIN, rows * height + 2 * _MARGIN)
    sheet = Image.new("RGB", size, PAPER)
    for number, (title, values) in enumerate(columns.items()):
        numbers = np.array([np.nan if v is None else v for v in values], float)
        mask = np.ones(len(numbers), bool) if kept is None else kept
        row, column = divmod(number, _COLUMNS)
        panel = _panel(title, numbers, mask)
        sheet.paste(panel, (_MARGIN + column * width, _MARGIN + row * height))
    return sheet


def _panel(
    title: str, values: NDArray[np.float64], kept: NDArray[np.bool_]
) -> Image.Image:
    """Draws one histogram with its least, median and highest value."""
    width = _PANEL[0]
    panel = Image.new("RGB", _PANEL, PAPER)
    draw = ImageDraw.Draw(panel)
    left, right = 10, width - 18
    draw_text(draw, (left, 10), title, 15)
    top, depth = _BARS
    draw.line((left, top + depth, right, top + depth), fill=PALE, width=1)
    known = np.isfinite(values)
    if not known.any():
        draw_text(draw, (left, top + depth / 2), "not measured", 13, SOFT, "lm")
        return panel
    low, high = float(values[known].min()), float(values[known].max())
    spread = (high - low) or max(abs(high), 1.0) * 1e-3
    edges = np.linspace(low, low + spread, _NUM_BINS + 1)
    everything = np.histogram(values[known], edges)[0]
    chosen = np.histogram(values[known & kept], edges)[0]
    highest = int(everything.max())
    step = (right - left) / _NUM_BINS
    for counts, color in ((everything, _PALE_BAR), (chosen, ACCENT)):
        for index, count in enumerate(counts.tolist()):
            if count:
                x0, x1 = left + index * step, left + (index + 1) * step - 2
                y0 = top + depth - max(2.0, depth * count / highest)
                draw.rectangle((x0, y0, x1, top + depth - 1), fill=color)
    median = float(np.median(values[known]))
    x = left + (median - low) / spread * (right - left)
    draw.line((x, top, x, top + depth), fill=INK, width=1)
    base = top + depth + 8
    draw_text(draw, (left, base), f"{low:.3g}", 13, SOFT)
    draw_text(draw, (right, base), f"{high:.3g}", 13, SOFT, "ra")
    draw_text(draw, (width - 18, 12), f"median {median:.3g}", 13, SOFT, "ra")
    return panel
