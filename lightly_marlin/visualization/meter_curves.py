"""Meters and probe of an encoder as curves over the steps of its training."""

from __future__ import annotations

import math
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

__all__ = ["meter_curves", "meter_figure"]

_BLUE, _ORANGE, _GREEN = QUALITATIVE[:3]


def _meter(column: str, label: str, color: str) -> Curve:
    return Curve("meters", column, label, color, "o-")


_PLOTS = (
    CurvePlot(
        "Effective rank",
        "dimensions",
        (
            _meter("rankme", "RankMe", _BLUE),
            _meter("rankme_centred", "RankMe, centred", _ORANGE),
            _meter("lidar", "LiDAR", _GREEN),
        ),
    ),
    CurvePlot(
        "Standard deviation of directions",
        "times sqrt(D): 1 for an even spread",
        (
            _meter("feature_std", "features", _BLUE),
            Curve("meters", "warning", "warning level", BASELINE, "--"),
        ),
    ),
    CurvePlot(
        "Alignment",
        "squared distance of clips of a track",
        (_meter("alignment", "alignment", _BLUE),),
    ),
    CurvePlot(
        "Uniformity",
        "0 where collapsed, -4 where even",
        (_meter("uniformity", "uniformity", _BLUE),),
    ),
    CurvePlot(
        "Nearest neighbour is of the same track",
        "share of clips",
        (
            _meter("identity_knn", "features", _BLUE),
            Curve("meters", "chance", "chance", BASELINE, "--"),
        ),
    ),
    CurvePlot(
        "Probe on labels",
        "main metric",
        (
            Curve("probe", "exact", "exact probe", _BLUE, "o-"),
            Curve("probe", "knn", "nearest neighbours", _ORANGE, "o-"),
            Curve("probe", "constant", "baseline: constant", BASELINE, "--"),
        ),
        from_zero=False,
    ),
)

_WARNING = 0.1


def meter_curves(
    meters: Sequence[Row], probe: Sequence[Row] = (), title: str = ""
) -> Image.Image:
    """Draws the meters and the probe of a run over the step, one plot per subject.

    The retrieval of tracks is beside chance, the probe beside the constant predictor,
    and the standard deviation beside 0.1: features that fall below it may collapse.

    Args:
        meters: Rows of meters.csv; columns without a number get no plot.
        probe: Rows of probe.csv: `step`, `exact`, `knn` and `constant`.
        title: Heading of the picture, such as the name of the run.

    Returns:
        RGB image.

    Raises:
        ValueError: If there is no number to draw, or a value is not a number.
    """
    return draw_plot(lambda: meter_figure(meters, probe, title))


def meter_figure(
    meters: Sequence[Row], probe: Sequence[Row] = (), title: str = ""
) -> Figure:
    """Makes the figure of `meter_curves`, with an axes per subject."""
    tables = {"meters": [_with_baselines(row) for row in meters], "probe": probe}
    return curve_figure(_PLOTS, tables, title)


def _with_baselines(row: Row) -> Row:
    """Adds what two meters are compared with, where they have a value."""
    baselines: dict[str, float] = {}
    if _number(row, "feature_std") is not None:
        baselines["warning"] = _WARNING
    tracks = _number(row, "tracks")
    if tracks and _number(row, "identity_knn") is not None:
        baselines["chance"] = 1 / tracks
    return {**row, **baselines}


def _number(row: Row, column: str) -> float | None:
    """Returns the value of a column, or None if it is no finite number."""
    value = row.get(column)
    if value is None or value == "" or not math.isfinite(float(value)):
        return None
    return float(value)
