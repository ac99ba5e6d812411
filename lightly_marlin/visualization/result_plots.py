"""Plots of evaluations: bars per label, ROC, confusion, reliability, few-shot curves.

They take plain arrays, so that they serve any classifier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from lightly_marlin.visualization.plots import (
    BASELINE,
    INK,
    MUTED,
    QUALITATIVE,
    draw_plot,
    new_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "Bar",
    "Curve",
    "confusion_plot",
    "curves_plot",
    "label_bars",
    "reliability_plot",
    "roc_plot",
]

_Array = npt.NDArray[np.float64]

_SIDE = 4.6  # Inches.
_BLUE, _ORANGE = QUALITATIVE[:2]
_MAX_CELL_TEXT = 12
# The names of more would cover the curves.
_MOST_CURVES_UNDER_LEGEND = 2
_LEGEND_MARGIN = 0.9  # Inches.
_LETTER_WIDTH = 0.075  # Inches, on average, at 8 points.
_RELIABILITY_BINS = 10
# An error of values may be a hundredth: bars need an axis of their own then.
_LEAST_FILLED = 0.25


class Bar(NamedTuple):
    """Value with its interval.

    Attributes:
        name: Name of the label or model.
        value: Value; NaN for a bar that is only named.
        low: Lower end of the interval; NaN for none.
        high: Upper end of the interval; NaN for none.
        note: Note beside the name, such as the number of positives.
    """

    name: str
    value: float
    low: float = float("nan")
    high: float = float("nan")
    note: str = ""


class Curve(NamedTuple):
    """Values over a share of the training items, or over steps.

    Attributes:
        name: Name in the legend.
        x: Positions, float64 (n,).
        mean: Values, float64 (n,).
        spread: Standard deviations, float64 (n,); NaN for none.
    """

    name: str
    x: _Array
    mean: _Array
    spread: _Array


def label_bars(
    bars: Sequence[Bar],
    *,
    metric: str,
    spread: str = "95 % interval",
    baseline: float | None = None,
    baseline_name: str = "constant predictor",
    title: str = "",
) -> Image.Image:
    """Draws horizontal bars with intervals, in the given order from top to bottom.

    Args:
        bars: Values.
        metric: Name of the values, for the axis.
        spread: What the intervals are, for the axis; empty if there are none.
        baseline: Value of a vertical line; None for none.
        baseline_name: Name of that line.
        title: Heading.

    Returns:
        RGB image.

    Raises:
        ValueError: If there are no bars.
    """
    if not bars:
        raise ValueError("Invalid bars: there is none to draw.")

    def make() -> Figure:
        figure = new_figure(6.4, 1.2 + 0.27 * len(bars), layout="constrained")
        axes = figure.add_subplot()
        places = np.arange(len(bars))
        values = np.array([bar.value for bar in bars])
        axes.barh(places, np.nan_to_num(values), height=0.62, color=_BLUE, alpha=0.85)
        for place, bar in zip(places, bars, strict=True):
            if np.isfinite([bar.low, bar.high]).all():
                axes.plot([bar.low, bar.high], [place, place], color=INK, linewidth=1.2)
            elif np.isnan(bar.value):
                axes.text(
                    0, float(place), "  not defined", va="center", color=MUTED, size=8
                )
        names = [f"{bar.name}  ({bar.note})" if bar.note else bar.name for bar in bars]
        axes.set_yticks(places, names, parse_math=False)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        label = f"{metric}, with {spread}" if spread else metric
        _finish_bars(axes, bars, label, baseline, baseline_name, title)
        return figure

    return draw_plot(make)


def _finish_bars(
    axes: Axes,
    bars: Sequence[Bar],
    label: str,
    baseline: float | None,
    baseline_name: str,
    title: str,
) -> None:
    axes.set_xlim(*_limits(bars, baseline))
    axes.set_xlabel(label, parse_math=False)
    axes.set_title(title, loc="left", pad=22 if baseline is not None else 6)
    if baseline is not None:
        axes.axvline(baseline, color=_ORANGE, linestyle="--", label=baseline_name)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)


def _limits(bars: Sequence[Bar], baseline: float | None) -> tuple[float, float]:
    """Returns the ends of the axis: 0 and 1, unless values exceed or hardly fill it."""
    ends = [end for bar in bars for end in (bar.value, bar.low, bar.high)]
    ends.append(baseline or 0)
    finite = [end for end in ends if np.isfinite(end)]
    low, high = min(finite), max(finite)
    fits = high <= 0 or _LEAST_FILLED <= high <= 1
    return (min(0.0, 1.05 * low), 1.0 if fits else 1.05 * high)


def roc_plot(
    scores: Mapping[str, tuple[_Array, _Array]], *, title: str = ""
) -> Image.Image:
    """Draws receiver operating characteristics with their points of equal error.

    Args:
        scores: Probabilities (n,) and truth (n,), 0 or 1, by the name of the curve;
            entries whose truth has one value are left out.
        title: Heading.

    Returns:
        RGB image.

    Raises:
        ValueError: If no curve is defined.
    """
    curves = {
        name: _roc(*pair) for name, pair in scores.items() if len(set(pair[1])) > 1
    }
    if not curves:
        raise ValueError("Invalid scores: no truth has both values.")

    def make() -> Figure:
        beside = len(curves) > _MOST_CURVES_UNDER_LEGEND
        longest = max(map(len, curves)) + len(": AUC 0.000, EER 0.000")
        room = _LEGEND_MARGIN + _LETTER_WIDTH * longest if beside else 0
        figure = new_figure(_SIDE + room, _SIDE, layout="constrained")
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=BASELINE, linestyle="--", label="chance")
        axes.plot([0, 1], [1, 0], color=BASELINE, linestyle=":", linewidth=0.9)
        for number, (name, (fpr, tpr)) in enumerate(curves.items()):
            color = QUALITATIVE[number % len(QUALITATIVE)]
            area = float(np.diff(fpr) @ (tpr[1:] + tpr[:-1]) / 2)
            error = _equal_error(fpr, tpr)
            label = f"{name}: AUC {area:.3f}, EER {error:.3f}"
            axes.plot(fpr, tpr, color=color, label=label)
            axes.plot(error, 1 - error, "o", color=color, markersize=5)
        axes.set(xlabel="false positive rate", ylabel="true positive rate")
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        axes.set_aspect("equal")
        axes.set_title(title, loc="left")
        if beside:
            legend = axes.legend(
                loc="upper left",
                bbox_to_anchor=(1.02, 1.0),
                borderaxespad=0,
                fontsize=8,
            )
        else:
            legend = axes.legend(loc="lower right", fontsize=8)
        for text in legend.get_texts():
            text.set_parse_math(False)
        return figure

    return draw_plot(make)


def _roc(scores: _Array, truth: _Array) -> tuple[_Array, _Array]:
    """Returns false and true positive rates at every threshold, from (0, 0) to (1, 1).

    Equal scores share a threshold, hence a straight piece of the curve.
    """
    order = np.argsort(-scores, kind="stable")
    ordered, positive = scores[order], truth[order] > 0.5
    last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    true = np.cumsum(positive)[last]
    false = (last + 1) - true
    start = np.zeros(1)
    return (
        np.concatenate([start, false / max(1, false[-1])]),
        np.concatenate([start, true / max(1, true[-1])]),
    )


def _equal_error(fpr: _Array, tpr: _Array) -> float:
    """Returns the rate at which false positives equal false negatives, interpolated."""
    gap = fpr - (1 - tpr)  # Ascends from -1 to 1.
    return float(np.interp(0.0, gap, fpr))


def confusion_plot(
    counts: npt.NDArray[np.int64], names: Sequence[str], *, title: str = ""
) -> Image.Image:
    """Draws a confusion matrix: shares of each true class, with counts.

    Args:
        counts: int64 array (K, K): items by true class (row) and predicted class.
        names: Names of the classes.
        title: Heading.

    Returns:
        RGB image.
    """
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))

    def make() -> Figure:
        side = 1.8 + 0.42 * max(4, len(names))
        figure = new_figure(side + 0.6, side, layout="constrained")
        axes = figure.add_subplot()
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        if len(names) <= _MAX_CELL_TEXT:
            for row, column in np.ndindex(*counts.shape):
                color = "white" if shares[row, column] > 0.55 else INK
                text = str(counts[row, column])
                axes.text(column, row, text, ha="center", va="center", color=color)
        ticks = np.arange(len(names))
        axes.set_xticks(ticks, names, rotation=45, ha="right", parse_math=False)
        axes.set_yticks(ticks, names, parse_math=False)
        axes.grid(visible=False)
        axes.set(xlabel="predicted", ylabel="true")
        axes.set_title(title, loc="left")
        bar = figure.colorbar(image, shrink=0.7)
        bar.set_label("share of the true class")
        return figure

    return draw_plot(make)


def reliability_plot(
    probabilities: _Array, truth: _Array, *, title: str = ""
) -> Image.Image:
    """Draws how often predictions of each probability come true.

    Args:
        probabilities: float64 array (n,) in [0, 1].
        truth: float64 array (n,), 0 or 1.
        title: Heading.

    Returns:
        RGB image.

    Raises:
        ValueError: If there are no predictions.
    """
    if not len(probabilities):
        raise ValueError("Invalid probabilities: there is none to draw.")
    bins = np.minimum(
        (probabilities * _RELIABILITY_BINS).astype(int), _RELIABILITY_BINS - 1
    )
    counts = np.bincount(bins, minlength=_RELIABILITY_BINS)
    used = counts > 0
    sums = [
        np.bincount(bins, weights=values, minlength=_RELIABILITY_BINS)
        for values in (probabilities, truth)
    ]
    predicted, observed = (total[used] / counts[used] for total in sums)
    error = float(np.abs(predicted - observed) @ (counts[used] / counts.sum()))

    def make() -> Figure:
        figure = new_figure(_SIDE, _SIDE + 1.1, layout="constrained")
        upper, lower = figure.subplots(
            2, 1, sharex=True, gridspec_kw={"height_ratios": [4, 1]}
        )
        upper.plot([0, 1], [0, 1], color=BASELINE, linestyle="--", label="calibrated")
        label = f"expected calibration error {error:.3f}"
        upper.plot(predicted, observed, "o-", color=_BLUE, label=label)
        upper.set(ylabel="share that is true", xlim=(0, 1), ylim=(-0.02, 1.02))
        upper.legend(loc="upper left", fontsize=8)
        upper.set_title(title, loc="left")
        centres = (np.arange(_RELIABILITY_BINS) + 0.5) / _RELIABILITY_BINS
        lower.bar(centres, counts, width=0.9 / _RELIABILITY_BINS, color=_BLUE)
        lower.set(xlabel="predicted probability", ylabel="predictions")
        return figure

    return draw_plot(make)


def curves_plot(
    curves: Sequence[Curve],
    *,
    xlabel: str,
    ylabel: str,
    baseline: float | None = None,
    baseline_name: str = "constant predictor",
    log_x: bool = False,
    title: str = "",
) -> Image.Image:
    """Draws means with standard deviations, such as few-shot curves.

    Args:
        curves: The curves.
        xlabel: Name of the positions.
        ylabel: Name of the values.
        baseline: Value of a horizontal line; None for none.
        baseline_name: Name of that line.
        log_x: Positions on a logarithmic axis, with a tick at each.
        title: Heading.

    Returns:
        RGB image.

    Raises:
        ValueError: If there are no curves.
    """
    if not curves:
        raise ValueError("Invalid curves: there is none to draw.")

    def make() -> Figure:
        figure = new_figure(6.4, 4.2, layout="constrained")
        axes = figure.add_subplot()
        if baseline is not None and np.isfinite(baseline):
            axes.axhline(baseline, color=BASELINE, linestyle="--", label=baseline_name)
        for number, curve in enumerate(curves):
            color = QUALITATIVE[number % len(QUALITATIVE)]
            bars = np.nan_to_num(curve.spread)
            axes.errorbar(
                curve.x,
                curve.mean,
                yerr=bars if bars.any() else None,
                fmt="o-",
                color=color,
                label=curve.name,
                capsize=3,
                markersize=4,
            )
        if log_x:
            ticks = np.unique(np.concatenate([curve.x for curve in curves]))
            axes.set_xscale("log")
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.minorticks_off()
        axes.set_xlabel(xlabel, parse_math=False)
        axes.set_ylabel(ylabel, parse_math=False)
        axes.set_title(title, loc="left")
        for text in axes.legend(loc="best").get_texts():
            text.set_parse_math(False)
        return figure

    return draw_plot(make)
