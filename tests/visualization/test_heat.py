"""Heat: brighter is more, and the scale is the paint."""

import numpy as np
import pytest
import torch

from lightly_marlin.visualization.heat import heat_colors, heat_scale


def test_brighter_is_more():
    values = torch.linspace(0, 0.6, 100).view(1, 1, 1, 100)
    colors = heat_colors(values, 0.6)[0, :, 0, 0]
    assert colors.shape == (3, 100)
    luma = torch.tensor([0.299, 0.587, 0.114]) @ colors
    assert (luma.diff() > 0).all()
    assert torch.equal(colors, heat_colors(values / 2, 0.3)[0, :, 0, 0])


def test_beyond_the_range_nothing_changes():
    values = torch.tensor([-1.0, 0, 1, 7]).view(1, 1, 1, 4)
    low, lowest, highest, high = heat_colors(values)[0, :, 0, 0].T
    assert torch.equal(low, lowest)
    assert torch.equal(high, highest)


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
