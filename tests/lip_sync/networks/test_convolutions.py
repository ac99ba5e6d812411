import pytest
import torch
from torch import nn

from lightly_marlin.lip_sync.networks.convolutions import (
    ConvBlock,
    ResidualBlock,
    UpBlock,
    conv_tower,
    group_norm,
)


@pytest.mark.parametrize("grid", [(48, 96), (80, 16), (80, 52), (80, 4), (7, 1)])
@pytest.mark.parametrize("stride", [1, (1, 2)])
def test_conv_tower__takes_any_grid(grid, stride):
    tower = conv_tower(2, grid, 1, stride)
    features = tower(torch.randn(3, 2, *grid))
    assert features.shape == (3, 16)
    assert features.min() == 0
    assert features.max() > 0


def test_conv_tower__every_layer_ends_in_relu():
    layers = list(conv_tower(1, (80, 16), 1).modules())
    convolutions = sum(isinstance(m, nn.Conv2d) for m in layers)
    assert convolutions == sum(isinstance(m, nn.ReLU) for m in layers) == 15


def test_up_block__every_pixel_gets_as_many_contributions():
    block = UpBlock(2, 3)
    nn.init.ones_(block[0].weight)
    maps = block[0](torch.ones(1, 2, 5, 4))
    assert maps.shape == (1, 3, 10, 8)
    assert (maps[..., 1:-1, 1:-1] == 8).all()
    assert block(torch.ones(1, 2, 5, 4)).shape == (1, 3, 10, 8)


def test_residual_block__begins_as_the_identity_of_what_is_positive():
    block = ResidualBlock(4)
    nn.init.zeros_(block.norm2.weight)
    maps = torch.randn(2, 4, 6, 6)
    assert torch.equal(block(maps), maps.relu())


@pytest.mark.parametrize(("channels", "groups"), [(384, 8), (378, 2), (26, 2), (3, 1)])
def test_group_norm(channels, groups):
    norm = group_norm(channels)
    assert (norm.num_groups, norm.num_channels) == (groups, channels)


def test_conv_block__strides_round_up():
    maps = torch.randn(2, 3, 5, 6)
    assert ConvBlock(3, 4, stride=2)(maps).shape == (2, 4, 3, 3)
    assert ConvBlock(3, 4, 5, (1, 2))(maps).shape == (2, 4, 5, 3)
    assert ConvBlock(3, 4, (5, 6), padding=0)(maps).shape == (2, 4, 1, 1)
