"""Processor on which every fast path is taken, whatever the tests run on."""

import pytest
import torch

from lightly_marlin.models.cpu import processor


@pytest.fixture(autouse=True)
def vendor(monkeypatch):
    """Sets the processor's vendor; at first an AMD without matrix units."""

    def pretend(name):
        monkeypatch.setattr(processor, "processor_vendor", lambda: name)

    pretend("AuthenticAMD")
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return pretend


@pytest.fixture
def convolutions(monkeypatch):
    """Counts how often a linear layer is computed as a convolution."""
    calls, compute = [], torch.nn.functional.conv2d

    def count(*tensors):
        calls.append(tensors)
        return compute(*tensors)

    monkeypatch.setattr(torch.nn.functional, "conv2d", count)
    return calls
