"""Training curves of a generator of lips, beside what needs no generator."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from lightly_marlin.visualization.curve_sheet import (
    Curve,
    CurvePlot,
    Row,
    curve_figure,
)
from lightly_marlin.visualization.plots import BASELINE, QUALITATIVE, draw_plot

__all__ = ["generator_curves"]

_BLUE, _ORANGE, _GREEN, _RED = QUALITATIVE[:4]
_HELD_OUT = "validation"

_PLOTS = (
    CurvePlot(
        "Pixels",
        "L1 loss as trained",
        (Curve("metrics", "l1", "training", _BLUE, smooth=True),),
    ),
    CurvePlot(
        "Mouths, held out",
        "mean absolute error",
        (
            Curve(_HELD_OUT, "mouth", "generated", _ORANGE, "o-"),
            Curve(_HELD_OUT, "other_mouth", "for another sound", _GREEN, "o--"),
            Curve(_HELD_OUT, "still_mouth", "mean of other frames", BASELINE, "--"),
            Curve(_HELD_OUT, "reference_mouth", "the reference", BASELINE, ":"),
        ),
    ),
    CurvePlot(
        "Sync, held out",
        "cosine by the expert",
        (
            Curve(_HELD_OUT, "sync", "their sound", _ORANGE, "o-"),
            Curve(_HELD_OUT, "other_sync", "another sound", BASELINE, "o--"),
        ),
    ),
    CurvePlot(
        "Clips that are better, held out",
        "share",
        (
            Curve(_HELD_OUT, "mouth_better", "mouth than mean", _ORANGE, "o-"),
            Curve(_HELD_OUT, "sync_better", "their sound than another", _GREEN, "o-"),
        ),
    ),
    CurvePlot(
        "Critic",
        "binary cross-entropy",
        (
            Curve("metrics", "critic", "critic", _RED, smooth=True),
            Curve("metrics", "generator", "generator", _BLUE, smooth=True),
        ),
    ),
    CurvePlot(
        "Throughput",
        "clips per second",
        (Curve("metrics", "clips_per_second", "", _GREEN, smooth=True),),
    ),
)


def generator_curves(
    metrics: Sequence[Row], validation: Sequence[Row], title: str = ""
) -> Image.Image:
    """Draws the training of a generator over the step.

    Args:
        metrics: Rows of metrics.csv: `step`, `l1`, `critic`, `generator`,
            `clips_per_second`.
        validation: Rows of validation.csv: `step`, `mouth`, `other_mouth`,
            `still_mouth`, `reference_mouth`, `sync`, `other_sync`, `mouth_better`,
            `sync_better`.
        title: Heading of the picture, such as the name of the run.

    Returns:
        RGB image; what no row has is left out.

    Raises:
        ValueError: If there is no number to draw, or a value is not a number.
    """
    tables = {"metrics": metrics, "validation": validation}
    return draw_plot(lambda: curve_figure(_PLOTS, tables, title))
