"""Training curves of a run: losses beside the baseline, learning rate, throughput."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image

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
            _logged("loss/reconstruction", "training", _BLUE),
            Curve("validation", "loss/reconstruction", "held out", _ORANGE, "o-"),
            Curve(
                "validation",
                "loss/mean_color",
                "baseline: mean colour, held out",
                BASELINE,
                "--",
            ),
        ),
    ),
    CurvePlot("Loss", "loss", (_logged("loss", "training", _BLUE),)),
    CurvePlot(
        "Adversarial losses",
        "loss",
        (
            _logged("loss/generator_adversarial", "generator", _BLUE),
            _logged("loss/discriminator", "discriminator", _ORANGE),
        ),
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
    return curve_figure(_PLOTS, tables, title)
