"""Curves of distance by offset: what is where, and what cannot be drawn."""

import numpy as np
import pytest

from lightly_marlin.visualization import sync_curve
from lightly_marlin.visualization.sync_curve import sync_figure


def curve(shift, least=7.0, around=12.0):
    """Distances by the shift of the sound, least at one shift."""
    distances = np.full(31, around)
    distances[15 + shift] = least
    return distances


def lines(figure):
    """Points of the lines by label; those without one are the markers of the curves."""
    (axes,) = figure.axes
    return [(line.get_label(), line.get_xydata().tolist()) for line in axes.lines]


def test_sync_curve__least_distance_is_at_the_offset():
    """Sound that has to move 3 frames on is 3 late: offset -3."""
    (_, points), (_, confidence), (_, least) = lines(sync_figure({"a": curve(3)}))
    assert [-3, 7] in points
    assert [points[0][0], points[-1][0]] == [15, -15]
    assert confidence == [[-3, 7], [-3, 12]]
    assert least == [[-3, 7]]


def test_sync_curve__legend_tells_the_scores():
    curves = {"real": curve(0, 6.5), "shifted $x": curve(-4)}
    (legend,) = sync_figure(curves).legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "real: offset 0, distance 6.500, confidence 5.500",
        "shifted $x: offset +4, distance 7.000, confidence 5.000",
    ]
    assert not any(text.get_parse_math() for text in legend.get_texts())


def test_sync_curve__picture():
    width, height = sync_curve({"real": curve(0)}, title="clip").size
    assert width == 960
    assert sync_curve({"real": curve(0), "b": curve(1)}).size > (width, height)


@pytest.mark.parametrize(
    "distances", [np.zeros(30), np.zeros((31, 1)), np.full(31, np.nan)]
)
def test_sync_curve__odd_curves_are_named(distances):
    with pytest.raises(ValueError, match=r"Invalid curve 'odd' with shape"):
        sync_curve({"odd": distances})


def test_sync_curve__nothing_to_draw():
    with pytest.raises(ValueError, match="Invalid curves: there is none"):
        sync_curve({})
