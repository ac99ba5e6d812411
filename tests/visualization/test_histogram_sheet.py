"""Histograms: bars as high as their counts, in colour what is kept."""

import numpy as np
from matplotlib.colors import to_rgb

from lightly_marlin.visualization import histogram_sheet
from lightly_marlin.visualization.histogram_sheet import histogram_figure
from lightly_marlin.visualization.plots import QUALITATIVE


def heights(axes):
    """Returns the heights of the bars that there are, layer by layer."""
    layers = [[bar.get_height() for bar in bars] for bars in axes.containers]
    return [[height for height in layer if height] for layer in layers]


def test_kept_values_are_drawn_over_all():
    values = [1.0, 1.0, 2.0, 9.0, None]
    (axes,) = histogram_figure({"a": values}).axes
    assert heights(axes) == [[2, 1, 1]]
    kept = np.array([False, False, False, True, True])
    figure = histogram_figure({"a": values}, kept)
    assert heights(figure.axes[0]) == [[2, 1, 1], [1]]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["all (5)", "kept (2)"]


def test_bars_follow_the_counts():
    """Twice as many values, twice as high a bar."""
    sheet = np.asarray(histogram_sheet({"a": [0.0] * 2 + [1.0] * 4}))
    color = np.round(np.array(to_rgb(QUALITATIVE[0])) * 255)
    columns = (sheet == color).all(axis=-1).sum(axis=0)
    low, high = (half.max() for half in np.split(columns[:540], 2))
    assert high > 100
    assert abs(2 * low - high) <= 4


def test_axes_say_what_is_counted():
    (axes,) = histogram_figure({"yaw, degrees": [3.0, None, 5.0, 10.0]}).axes
    assert axes.get_xlabel() == "yaw, degrees"
    assert axes.get_ylabel() == "count"
    assert axes.get_title("right") == "median 5 · 1 not measured"
    assert all(tick == round(tick) for tick in axes.get_yticks())


def test_columns_without_values_or_spread():
    columns = {"a": [None, None], "b": [3.0, 3.0], "c": [], "d": [0.0]}
    assert histogram_sheet(columns).size == (3 * 540, 2 * 330)
    empty, same, *_ = histogram_figure(columns).axes
    assert empty.texts[0].get_text() == "not measured"
    assert heights(same) == [[2]]
    low, high = same.get_xlim()
    assert low < 3 < high
