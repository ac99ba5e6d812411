import torch
from torch import nn

from lightly_marlin.training import gradient_average as module
from lightly_marlin.training.gradient_average import average_gradients


def test_average_gradients__one_reduction_in_place(monkeypatch):
    layer = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    for index, parameter in enumerate(layer.parameters()):
        parameter.grad = torch.full_like(parameter, index + 1.0)
    layer[1].bias.grad = None
    held = layer[0].weight.grad
    reduced = []

    def halve(tensor):
        reduced.append(tensor.numel())
        return tensor.div_(2)

    monkeypatch.setattr(module, "mean_over_processes", halve)
    average_gradients(layer.parameters())
    assert reduced == [3 * 2 + 2 + 2]
    assert layer[0].weight.grad is held
    means = [float(p.grad.mean()) for p in layer.parameters() if p.grad is not None]
    assert means == [0.5, 1.0, 1.5]
    assert layer[1].bias.grad is None


def test_average_gradients__nothing_to_average():
    average_gradients(nn.Linear(1, 1).parameters())
