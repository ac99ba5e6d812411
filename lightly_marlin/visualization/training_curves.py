"""Training curves of a run: losses beside the baseline, learning rate, throughput."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image

from lightly_marlin.utils.metric_names import (
    DISCRIMINATOR,
    GENERATOR,
    GRADIENT,
    LOSS,
    MARLIN_LOSSES,
    MEAN_COLOR,
    RECONSTRUCTION,
)
from lightly_marlin.visualization.curve_sheet import (
    Curve,
    CurvePlot,
    Row,
    curve_figure,
)
from lightly_marlin.visualization.plots import BASELINE, QUALITATIVE, draw_plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["training_curves", "training_figure"]

_BLUE, _ORANGE, _GREEN = QUALITATIVE[:3]


def _logged(column: str, label: str, color: str) -> Curve:
    return Curve("metrics", column, label, color, smooth=column != "lr")


_PLOTS = (
    CurvePlot(
        "Reconstruction",
        "mean squared error of masked pixels",
        (
            _logged(RECONSTRUCTION, "training", _BLUE),
            Curve("validation", RECONSTRUCTION, "held out", _ORANGE, "o-"),
            Curve(
                "validation",
                MEAN_COLOR,
                "baseline: mean colour, held out",
                BASELINE,
                "--",
            ),
        ),
        log=True,
    ),
    CurvePlot("Loss", "loss", (_logged("loss", "training", _BLUE),), log=True),
    CurvePlot(
        "Adversarial losses",
        "loss",
        (
            _logged(GENERATOR, "generator", _BLUE),
            _logged(DISCRIMINATOR, "discriminator", _ORANGE),
        ),
        log=True,
    ),
    CurvePlot(
        "Learning rate", "learning rate", (_logged("lr", "learning rate", _GREEN),)
    ),
    CurvePlot(
        "Throughput",
        "clips per second",
        (_logged("clips_per_second", "clips per second", _GREEN),),
    ),
)


def training_curves(
    metrics: Sequence[Row],
    validation: Sequence[Row] = (),
    title: str = "",
    gradients: Sequence[Row] = (),
) -> Image.Image:
    """Draws the metrics of a run over the step, one plot per subject.

    A long curve is pale, with its moving average in front. Losses and gradients are on
    a logarithmic axis when they span more than a factor of ten and all are positive.

    Args:
        metrics: Rows of metrics.csv: `step`, and any of `loss/reconstruction`,
            `loss/generator_adversarial`, `loss/discriminator`, `loss`, `lr`,
            `clips_per_second`; further columns `loss/...` are other objectives. Columns
            that were never logged, and losses that are 0 throughout because nothing
            trains on them, get no plot.
        validation: Rows of validation.csv: `step`, `loss/reconstruction` and
            `loss/mean_color`.
        title: Heading of the picture, such as the name of the run.
        gradients: Rows of gradients.csv: `step` and columns `gradient_norm/...`.

    Returns:
        RGB image.

    Raises:
        ValueError: If there is no number to draw, or a value is not a number.
    """
    return draw_plot(lambda: training_figure(metrics, validation, title, gradients))


def training_figure(
    metrics: Sequence[Row],
    validation: Sequence[Row] = (),
    title: str = "",
    gradients: Sequence[Row] = (),
) -> Figure:
    """Makes the figure of `training_curves`, with an axes per subject."""
    tables = {
        "metrics": _without_idle_losses(metrics),
        "validation": validation,
        "gradients": gradients,
    }
    others = [name for name in _columns(metrics, LOSS) if name not in MARLIN_LOSSES]
    plots = (
        *_PLOTS[:3],
        _one_curve_each("Loss of", "loss", "metrics", others, LOSS),
        _one_curve_each(
            "Gradient of",
            "norm on the encoder",
            "gradients",
            _columns(gradients, GRADIENT),
            GRADIENT,
        ),
        *_PLOTS[3:],
    )
    return curve_figure(plots, tables, title)


def _columns(rows: Sequence[Row], prefix: str) -> list[str]:
    return [name for name in (rows[0] if rows else ()) if name.startswith(prefix)]


def _one_curve_each(
    title: str, label: str, table: str, columns: Sequence[str], prefix: str
) -> CurvePlot:
    names = [column.removeprefix(prefix) for column in columns]
    curves = tuple(
        Curve(table, column, name, color, smooth=table == "metrics")
        for column, name, color in zip(
            columns, names, itertools.cycle(QUALITATIVE), strict=False
        )
    )
    # A single curve has no legend.
    what = names[0] if len(names) == 1 else "the objectives"
    return CurvePlot(f"{title} {what}", label, curves, log=True)


def _without_idle_losses(rows: Sequence[Row]) -> list[Row]:
    """Returns the rows without MARLIN's losses that are 0 in all of them."""
    idle = [
        name for name in MARLIN_LOSSES if all(_is_zero(row.get(name)) for row in rows)
    ]
    return [{n: x for n, x in row.items() if n not in idle} for row in rows]


def _is_zero(value: str | float | None) -> bool:
    return value is not None and value != "" and float(value) == 0
