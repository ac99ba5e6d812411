"""Training curves of a sync expert: loss and accuracy beside chance."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image

from lightly_marlin.visualization.curve_sheet import (
    Curve,
    CurvePlot,
    Row,
    curve_figure,
)
from lightly_marlin.visualization.plots import BASELINE, QUALITATIVE, draw_plot

__all__ = ["expert_curves"]

_BLUE, _ORANGE, _GREEN = QUALITATIVE[:3]


def _with_chance(title: str, unit: str, column: str) -> CurvePlot:
    return CurvePlot(
        title,
        unit,
        (
            Curve("metrics", column, "training", _BLUE, smooth=True),
            Curve("validation", column, "held out", _ORANGE, "o-"),
            Curve("chance", column, "chance", BASELINE, "--"),
        ),
    )


_PLOTS = (
    _with_chance("Loss", "binary cross-entropy of the cosines", "loss"),
    _with_chance("Accuracy", "share of pairs told correctly", "accuracy"),
    CurvePlot("Learning rate", "learning rate", (Curve("metrics", "lr", "", _GREEN),)),
    CurvePlot(
        "Throughput",
        "pairs per second",
        (Curve("metrics", "clips_per_second", "", _GREEN, smooth=True),),
    ),
)


def expert_curves(
    metrics: Sequence[Row], validation: Sequence[Row], title: str = ""
) -> Image.Image:
    """Draws the training of a sync expert over the step.

    Args:
        metrics: Rows of metrics.csv: `step`, `loss`, `accuracy`, `lr`,
            `clips_per_second`.
        validation: Rows of validation.csv: `step`, `loss`, `accuracy`.
        title: Heading of the picture, such as the name of the run.

    Returns:
        RGB image.

    Raises:
        ValueError: If there is no number to draw, or a value is not a number.
    """
    steps = [float(row["step"] or 0) for row in (*metrics, *validation)]
    chance = [
        {"step": step, "loss": math.log(2), "accuracy": 0.5}
        for step in ((min(steps), max(steps)) if steps else ())
    ]
    tables = {"metrics": metrics, "validation": validation, "chance": chance}
    return draw_plot(lambda: curve_figure(_PLOTS, tables, title))
