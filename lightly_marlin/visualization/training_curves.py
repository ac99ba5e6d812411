"""Training curves of a run: losses beside the baseline, learning rate, throughput."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from lightly_marlin.visualization.plots import (
    BASELINE,
    QUALITATIVE,
    draw_plot,
    matplotlib_module,
    new_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["training_curves", "training_figure"]

Row = Mapping[str, "str | float | None"]
"""Row of a table by column; missing or empty entries are not numbers."""

_WIDTH, _HEIGHT = 11.0, 3.4  # inches: width of the sheet, height of a row of plots
_COLUMNS = 2
_SMOOTH_FROM = 60
_WINDOWS = 20
_LOG_FROM = 10.0


class _Curve(NamedTuple):
    """Curve of a column: its table, its name in the legend, and its style."""

    table: str
    column: str
    label: str
    color: str
    style: str = "-"


_Points = tuple[_Curve, npt.NDArray[np.float64], npt.NDArray[np.float64]]


class _Plot(NamedTuple):
    """Plot of some curves."""

    title: str
    unit: str
    curves: tuple[_Curve, ...]


_BLUE, _ORANGE, _GREEN = QUALITATIVE[:3]
_PLOTS = (
    _Plot(
        "Reconstruction",
        "mean squared error of masked pixels",
        (
            _Curve("metrics", "loss/reconstruction", "training", _BLUE),
            _Curve("validation", "loss/reconstruction", "held out", _ORANGE, "o-"),
            _Curve(
                "validation",
                "loss/mean_color",
                "baseline: mean colour, held out",
                BASELINE,
                "--",
            ),
        ),
    ),
    _Plot("Loss", "loss", (_Curve("metrics", "loss", "training", _BLUE),)),
    _Plot(
        "Adversarial losses",
        "loss",
        (
            _Curve("metrics", "loss/generator_adversarial", "generator", _BLUE),
            _Curve("metrics", "loss/discriminator", "discriminator", _ORANGE),
        ),
    ),
    _Plot(
        "Learning rate",
        "learning rate",
        (_Curve("metrics", "lr", "learning rate", _GREEN),),
    ),
    _Plot(
        "Throughput",
        "clips per second",
        (_Curve("metrics", "clips_per_second", "clips per second", _GREEN),),
    ),
)


def training_curves(
    metrics: Sequence[Row], validation: Sequence[Row] = (), title: str = ""
) -> Image.Image:
    """Draws the metrics of a run over the step, one plot per subject.

    A long curve is pale, with its moving average in front. Losses are on a logarithmic
    axis when they span more than a factor of ten and none is negative.

    Args:
        metrics: Rows of metrics.csv: `step`, and any of `loss/reconstruction`,
            `loss/generator_adversarial`, `loss/discriminator`, `loss`, `lr`,
            `clips_per_second`. Columns that were never logged get no plot.
        validation: Rows of validation.csv: `step`, `loss/reconstruction` and
            `loss/mean_color`.
        title: Heading of the picture, such as the name of the run.

    Returns:
        RGB image.

    Raises:
        ValueError: If there is no number to draw, or a value is not a number.
    """
    return draw_plot(lambda: training_figure(metrics, validation, title))


def training_figure(
    metrics: Sequence[Row], validation: Sequence[Row] = (), title: str = ""
) -> Figure:
    """Makes the figure of `training_curves`, with an axes per subject."""
    tables = {"metrics": metrics, "validation": validation}
    drawn = []
    for plot in _PLOTS:
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


def _draw_plot(axes: Axes, plot: _Plot, curves: Sequence[_Points]) -> None:
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
    if low > 0 and high / low > _LOG_FROM and "loss" in plot.curves[0].column:
        ticks = matplotlib_module("ticker")
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(ticks.LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(ticks.NullFormatter())
    elif low >= 0:
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
    curve: _Curve,
    steps: npt.NDArray[np.float64],
    values: npt.NDArray[np.float64],
) -> None:
    """Draws a curve; a long training curve is pale, below its moving average."""
    smooth = curve.table == "metrics" and curve.column != "lr"
    if smooth and len(values) >= _SMOOTH_FROM:
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
