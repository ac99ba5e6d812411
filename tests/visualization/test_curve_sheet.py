"""Sheets of curves: scales, smoothing, and what is left out."""

import numpy as np
import pytest

from lightly_marlin.visualization.curve_sheet import Curve, CurvePlot, curve_figure

ROWS = [{"step": step, "loss": 1 + step % 2, "score": 0.5} for step in range(100)]


def draw(curve, rows=ROWS, **options):
    (axes,) = curve_figure([CurvePlot("a", "b", (curve,), **options)], {"t": rows}).axes
    return axes


@pytest.mark.parametrize(("smooth", "lines"), [(False, 1), (True, 2)])
def test_curve_figure__smooth_curves(smooth, lines):
    axes = draw(Curve("t", "loss", "loss", "red", smooth=smooth))
    assert len(axes.lines) == lines
    if smooth:
        np.testing.assert_allclose(axes.lines[1].get_ydata()[5:-5], 1.5, atol=0.11)
    # Short ones are drawn as they are.
    assert (
        len(draw(Curve("t", "loss", "l", "red", smooth=smooth), ROWS[:59]).lines) == 1
    )


def test_curve_figure__vertical_axis_from_zero():
    curve = Curve("t", "score", "score", "red")
    assert draw(curve).get_ylim()[0] == 0
    assert draw(curve, from_zero=False).get_ylim()[0] > 0.4
    negative = [{"step": 1, "score": -0.5}, {"step": 2, "score": 0.5}]
    assert draw(curve, negative).get_ylim()[0] < -0.5


def test_curve_figure__logarithmic_axis():
    """Where it is asked for, and the values call for it."""
    curve = Curve("t", "score", "score", "red")
    wide, narrow, negative = (
        [{"step": step, "score": value} for step, value in enumerate(values)]
        for values in ((0.1, 2.0), (1.0, 2.0), (-0.1, 2.0))
    )
    assert draw(curve, wide, log=True).get_yscale() == "log"
    assert draw(curve, wide).get_yscale() == "linear"
    assert draw(curve, narrow, log=True).get_yscale() == "linear"
    assert draw(curve, negative, log=True).get_yscale() == "linear"


def test_curve_figure__plots_without_numbers_are_left_out():
    here, lost = Curve("t", "score", "s", "red"), Curve("t", "nowhere", "n", "red")
    plots = [CurvePlot("both", "u", (here, lost)), CurvePlot("none", "u", (lost,))]
    (axes,) = curve_figure(plots, {"t": ROWS}, "name").axes
    assert axes.get_title("left") == "both"
    assert [line.get_label() for line in axes.lines] == ["s"]
    with pytest.raises(ValueError, match="no number to draw"):
        curve_figure(plots, {"t": []})
