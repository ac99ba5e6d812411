import pytest
import torch
from torch import nn

from lightly_marlin.utils.evaluation_mode import evaluation_mode


def test_evaluation_mode__restores_the_mode_of_every_part():
    network = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout())
    network[1].eval()
    with evaluation_mode(network):
        assert not any(part.training for part in network.modules())
        assert not torch.is_grad_enabled()
    assert [part.training for part in network.modules()] == [True, True, False]


def test_evaluation_mode__restores_after_an_error():
    network = nn.Dropout()
    with pytest.raises(KeyError), evaluation_mode(network):
        raise KeyError
    assert network.training
