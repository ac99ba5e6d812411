"""Plots of results: the axis shows every value that is drawn."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from lightly_marlin.visualization.plots import QUALITATIVE
from lightly_marlin.visualization.result_plots import Bar, label_bars, roc_plot

BLUE = (0x00, 0x72, 0xB2)


def blue_columns(bars, **options):
    """Returns how many columns of the picture hold the colour of the bars."""
    pixels = np.asarray(label_bars(bars, metric="metric", **options)).astype(int)
    # Bars are drawn at 85 % over white.
    near = np.abs(pixels - (0.85 * np.array(BLUE) + 0.15 * 255)).max(axis=-1) < 12
    return int(near.any(axis=0).sum())


@pytest.mark.parametrize("value", [-0.4, 0.02, 1.0, 7.0])
def test_label_bars__values_of_any_size_are_seen(value):
    assert blue_columns([Bar("a", value)]) > 200


def test_label_bars__shares_are_drawn_against_one():
    half, whole = (blue_columns([Bar("a", value)]) for value in (0.5, 1.0))
    assert half == pytest.approx(whole / 2, rel=0.02)


def test_label_bars__nothing_to_draw():
    with pytest.raises(ValueError, match="Invalid bars"):
        label_bars([], metric="metric")


def test_roc_plot__legend_of_many_curves_covers_none():
    truth = np.arange(400) % 2
    noise = np.random.default_rng(0).random(400)
    good, poor = (truth + noise, truth), (noise - 0.5 * truth, truth)

    def pixels_of(scores, truth):
        """Pixels of one curve, drawn over six others."""
        curves = {f"expression {n}": good for n in range(6)} | {"one": (scores, truth)}
        pixels = np.asarray(roc_plot(curves)) / 255
        color = np.array(to_rgb(QUALITATIVE[6]))
        return int((np.abs(pixels - color).max(axis=-1) < 0.05).sum())

    # Scores below chance are where a legend in the plot would be, and are the same
    # curve as their opposite, turned around.
    assert pixels_of(*poor) > 0.95 * pixels_of(-poor[0], truth)
