import torch

from lightly_marlin.visualization.heat import heat_colors


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
