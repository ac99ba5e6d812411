"""Histograms of many columns on one sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lightly_marlin.visualization.plots import (
    INK,
    MUTED,
    QUALITATIVE,
    draw_plot,
    new_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["histogram_figure", "histogram_sheet"]

_COLUMNS = 3
_PANEL = (3.6, 2.2)  # inches
_LEGEND_HEIGHT = 0.3
_NUM_BINS = 24


def histogram_sheet(
    columns: Mapping[str, Sequence[float | None]],
    kept: NDArray[np.bool_] | None = None,
) -> Image.Image:
    """Draws a histogram of each column, three side by side, with its median.

    Args:
        columns: Values by title, which is the label of the horizontal axis and ends in
            the unit; None or not a number was not measured.
        kept:
            bool array with one entry per value: the kept values are drawn in colour
            over all others; None for all.

    Returns:
        RGB image.
    """
    return draw_plot(lambda: histogram_figure(columns, kept))


def histogram_figure(
    columns: Mapping[str, Sequence[float | None]],
    kept: NDArray[np.bool_] | None = None,
) -> Figure:
    """Makes the figure of `histogram_sheet`, with an axes per column."""
    rows = max(1, -(-len(columns) // _COLUMNS))
    partly = kept is not None and not kept.all()
    figure = new_figure(
        _COLUMNS * _PANEL[0],
        rows * _PANEL[1] + _LEGEND_HEIGHT * partly,
        layout="constrained",
    )
    bars: list[Any] = []
    for number, (title, values) in enumerate(columns.items()):
        axes = figure.add_subplot(rows, _COLUMNS, number + 1, xlabel=title)
        numbers = np.array([np.nan if v is None else v for v in values], float)
        bars = _draw(axes, numbers, kept if partly else None) or bars
    if kept is not None and partly:
        labels = [f"all ({len(kept)})", f"kept ({int(kept.sum())})"]
        figure.legend(bars, labels, loc="outside upper left", ncols=2)
    return figure


def _draw(
    axes: Axes, values: NDArray[np.float64], kept: NDArray[np.bool_] | None
) -> list[Any]:
    """Draws one histogram; returns the bars of all values and of those kept."""
    known = np.isfinite(values)
    missing = int((~known).sum())
    note = f"{missing} not measured" if missing else ""
    if not known.any():
        axes.text(0.5, 0.5, "not measured", color=MUTED, ha="center", va="center")
        axes.set(xticks=[], yticks=[])
        return []
    low, high = float(values[known].min()), float(values[known].max())
    if low == high:
        # A bar with a separate width, in the middle, for a single value.
        half = 0.1 * max(abs(low), 1.0)
        edges = np.linspace(low - half, low + half, _NUM_BINS + 2)
    else:
        edges = np.linspace(low, high, _NUM_BINS + 1)
    layers = [(known, QUALITATIVE[0])]
    if kept is not None:
        layers = [(known, "#c9cfd6"), (known & kept, QUALITATIVE[0])]
    bars = [
        axes.hist(values[chosen], edges.tolist(), color=color, rwidth=0.9)[2]
        for chosen, color in layers
    ]
    median = float(np.median(values[known]))
    axes.axvline(median, color=INK, linewidth=1, linestyle="--")
    axes.set_ylabel("count")
    axes.set_ylim(bottom=0)
    axes.locator_params(axis="y", integer=True, nbins=5)
    axes.locator_params(axis="x", nbins=6)
    axes.grid(visible=False, axis="x")
    whole = " of all" if kept is not None else ""
    text = " · ".join(filter(None, (f"median{whole} {median:.3g}", note)))
    axes.set_title(text, loc="right", color=MUTED, fontsize=8, fontweight="normal")
    return bars
