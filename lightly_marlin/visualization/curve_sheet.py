"""Sheet of plots of curves over the training step, one plot per subject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from lightly_marlin.visualization.plots import matplotlib_module, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Curve", "CurvePlot", "Row", "curve_figure"]

Row = Mapping[str, "str | float | None"]
"""Row of a table by column; missing or empty entries are not numbers."""

_WIDTH, _HEIGHT = 11.0, 3.4  # inches: width of the sheet, height of a row of plots
_COLUMNS = 2
_SMOOTH_FROM = 60
_WINDOWS = 20
_LOG_FROM = 10.0


class Curve(NamedTuple):
    """Curve of a column.

    Attributes:
        table: Name of its table.
        column: Name of the column.
        label: Name in the legend.
        color: Colour.
        style: Format of matplotlib.
        smooth: Whether a long curve is pale, with its moving average in front.
    """

    table: str
    column: str
    label: str
    color: str
    style: str = "-"
    smooth: bool = False


class CurvePlot(NamedTuple):
    """Plot of some curves.

    Attributes:
        title: Heading.
        unit: Label of the vertical axis.
        curves: The curves; those without a number are left out.
        from_zero: Whether the vertical axis begins at 0 if no value is negative.
        log: Whether it is logarithmic where the values are positive and span more than
            a factor of ten.
    """

    title: str
    unit: str
    curves: tuple[Curve, ...]
    from_zero: bool = True
    log: bool = False


_Points = tuple[Curve, npt.NDArray[np.float64], npt.NDArray[np.float64]]


def curve_figure(
    plots: Sequence[CurvePlot], tables: Mapping[str, Sequence[Row]], title: str = ""
) -> Figure:
    """Makes a figure with an axes per plot that has a number to draw.

    Args:
        plots: The plots.
        tables: Rows by the name of their table; each has a `step`.
        title: Heading of the figure.

    Raises:
        ValueError: If there is no number to draw, or a value is not a number.
    """
    drawn = []
    for plot in plots:
        curves = [
            (curve, *points)
            for curve in plot.curves
            if len((points := _read(tables[curve.table], curve.column))[0])
        ]
        if curves:
            drawn.append((plot, curves))
    if not drawn:
        raise ValueError("Invalid metrics: there is no number to draw.")
    rows = -(-len(drawn) // _COLUMNS)
    figure = new_figure(_WIDTH, rows * _HEIGHT, layout="constrained")
    if title:
        figure.suptitle(title, x=0.01, ha="left", parse_math=False)
    for number, (plot, curves) in enumerate(drawn):
        _draw_plot(figure.add_subplot(rows, _COLUMNS, number + 1), plot, curves)
    return figure


def _draw_plot(axes: Axes, plot: CurvePlot, curves: Sequence[_Points]) -> None:
    """Draws curves over the step, with labels, scales and a legend above."""
    for curve, steps, values in curves:
        _draw_curve(axes, curve, steps, values)
    axes.set(xlabel="step", ylabel=plot.unit)
    axes.set_xlim(0, 1.02 * max(float(steps.max()) for _, steps, _ in curves) or 1)
    axes.set_title(plot.title, loc="left", pad=24 if len(plot.curves) > 1 else 6)
    if len(plot.curves) > 1:
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1),
            borderaxespad=0.3,
            borderpad=0,
            ncols=len(curves),
        )
    axes.locator_params(axis="x", integer=True)
    everything = np.concatenate([values for _, _, values in curves])
    low, high = float(everything.min()), float(everything.max())
    if plot.log and low > 0 and high / low > _LOG_FROM:
        ticks = matplotlib_module("ticker")
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(ticks.LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(ticks.NullFormatter())
    elif low >= 0 and plot.from_zero:
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter("{x:.3g}")


def _read(
    rows: Sequence[Row], column: str
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Returns steps and values of a column, without entries that are not numbers."""
    pairs = [(row.get("step"), row.get(column)) for row in rows]
    numbers = [
        (float(step), float(value))
        for step, value in pairs
        if step not in (None, "") and value not in (None, "")
    ]
    steps, values = np.array(numbers, np.float64).reshape(-1, 2).T
    finite = np.isfinite(steps) & np.isfinite(values)
    return steps[finite], values[finite]


def _draw_curve(
    axes: Axes,
    curve: Curve,
    steps: npt.NDArray[np.float64],
    values: npt.NDArray[np.float64],
) -> None:
    """Draws a curve; a long one that is to be smooth is pale, below its average."""
    if curve.smooth and len(values) >= _SMOOTH_FROM:
        axes.plot(steps, values, color=curve.color, alpha=0.25, linewidth=0.8)
        values = _moving_average(values, len(values) // _WINDOWS)
    # A single point has no line.
    style = "o" if len(values) == 1 else curve.style
    axes.plot(
        steps, values, style, color=curve.color, label=curve.label, markersize=3.5
    )


def _moving_average(
    values: npt.NDArray[np.float64], window: int
) -> npt.NDArray[np.float64]:
    """Returns centred means of `window` values, with fewer at both ends."""
    ones = np.ones(window)
    counts = np.convolve(np.ones_like(values), ones, "same")
    means: npt.NDArray[np.float64] = np.convolve(values, ones, "same") / counts
    return means
