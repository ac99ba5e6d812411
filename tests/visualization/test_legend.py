"""Legends: every colour that is painted is there, at any width."""

import numpy as np
import pytest
import torch

from lightly_marlin.regions import Label
from lightly_marlin.visualization.heat import heat_colors
from lightly_marlin.visualization.legend import heat_scale, region_legend
from lightly_marlin.visualization.mask_overlay import REGION_COLORS


def colors_of(picture):
    return {color for _, color in picture.getcolors(2**16)}


def rgb(label):
    return tuple(round(255 * value) for value in REGION_COLORS[label])


@pytest.mark.parametrize("width", [30, 200, 900])
def test_region_legend__has_every_colour(width):
    plain = region_legend(width)
    found = colors_of(plain)
    assert {rgb(label) for label in Label if label > Label.BACKGROUND} <= found
    assert rgb(Label.BACKGROUND) not in found
    assert rgb(Label.BACKGROUND) in colors_of(region_legend(width, background="rest"))
    assert plain.width == width


def test_region_legend__breaks_its_line_where_it_must():
    heights = [region_legend(width).height for width in (30, 300, 900)]
    assert heights == [7 * 22, 2 * 22, 22]


@pytest.mark.parametrize("strength", [1.0, 0.6])
def test_heat_scale__is_the_paint(strength):
    scale = np.asarray(heat_scale(600, "error", "0", "1", strength=strength))
    row = scale[11].astype(float)
    ramp = heat_colors(torch.linspace(0, 1, 160).view(1, 1, 1, 160))[0, :, 0, 0].T
    expected = 255 * (strength * ramp.numpy() + (1 - strength) * 0.5)
    starts = [
        left
        for left in range(100)
        if np.abs(row[left : left + 160] - expected).max() < 1
    ]
    assert len(starts) == 1
    assert (scale[:, : starts[0]] < 200).any()
    assert (scale[:, starts[0] + 160 :] < 200).any()


@pytest.mark.parametrize("width", [1, 100, 180, 230])
def test_heat_scale__fits_any_width(width):
    assert heat_scale(width, "a long text", "0.25", "0.5 and more").width == width
