"""Colours of regions: paint over crops, and a legend that has every colour."""

import numpy as np
import pytest
import torch

from lightly_marlin.regions import Label, RegionCells
from lightly_marlin.visualization import paint_cells, paint_labels
from lightly_marlin.visualization.region_colors import REGION_COLORS, region_legend


def test_labels_tint_and_background_stays():
    crop = np.full((16, 16, 3), 100, np.uint8)
    labels = np.zeros((16, 16), np.int16)
    labels[:, 8:] = Label.NOSE
    labels[:4] = -1
    painted = paint_labels(crop, labels)
    assert (painted[:4] == 100).all()
    assert (painted[4:, :8] == 100).all()
    expected = 45 + 0.55 * 255 * np.array(REGION_COLORS[Label.NOSE])
    np.testing.assert_allclose(painted[10, 12], expected, atol=0.6)


def test_cells_show_the_rarest_label_of_each():
    crop = np.zeros((16, 16, 3), np.uint8)
    labels = torch.zeros(16, 16, dtype=torch.int64)
    labels[:8] = Label.SKIN
    labels[3, 3] = Label.LEFT_EYE
    painted = paint_cells(crop, RegionCells.from_labels(labels).bits.numpy())
    for rows, columns, label in ((0, 0, Label.LEFT_EYE), (0, 8, Label.SKIN)):
        cell = painted[rows : rows + 8, columns : columns + 8].reshape(-1, 3)
        expected = 0.55 * 255 * np.array(REGION_COLORS[label])
        np.testing.assert_allclose(cell, np.tile(expected, (64, 1)), atol=0.6)
    assert (painted[8:] == 0).all()


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
