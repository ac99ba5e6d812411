"""Weights that a metric is defined by: all of them, or one clear line."""

import os
from collections import OrderedDict

import pytest
import torch
from torch import nn

from lightly_marlin.lip_sync.measures.published_weights import load_published_weights
from lightly_marlin.utils.errors import UsageError


class Network(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(2, 3), nn.BatchNorm1d(3))


def state(**changes):
    """Weights that fit, without counters; None removes one."""
    weights = {
        "0.weight": torch.full((3, 2), 2.0),
        "0.bias": torch.ones(3),
        "1.weight": torch.full((3,), 3.0),
        "1.bias": torch.zeros(3),
        "1.running_mean": torch.ones(3),
        "1.running_var": torch.ones(3),
    } | {name.replace("_", ".", 1): value for name, value in changes.items()}
    return {name: value for name, value in weights.items() if value is not None}


def load(content, path, legacy=True):
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    network = Network()
    load_published_weights(network, path, "weights.model")
    return network


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("form", ["tensors", "parameters", "counters", "half"])
def test_load__forms_of_the_file(legacy, form, tmp_path):
    content = OrderedDict(state())
    if form == "parameters":
        content = OrderedDict((n, nn.Parameter(t)) for n, t in content.items())
    elif form == "counters":
        content["1.num_batches_tracked"] = torch.tensor(7)
    elif form == "half":
        content = {name: tensor.half() for name, tensor in content.items()}
    network = load(content, tmp_path / "w.model", legacy)
    assert torch.equal(network[0].weight, torch.full((3, 2), 2.0))
    assert torch.equal(network[1].running_mean, torch.ones(3))
    assert network[0].weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"0_bias": None}, "missing 0.bias"),
        ({"2_bias": torch.ones(1)}, "unexpected 2.bias"),
        ({"0_bias": torch.ones(4)}, r"wrong shape: 0.bias is \(4,\) instead of \(3,\)"),
        ({"0_bias": torch.ones(3, dtype=int)}, "not floating-point 0.bias"),
        (
            {"0_bias": None, "1_bias": torch.ones(4)},
            r"missing 0.bias; wrong shape: 1.bias is \(4,\)",
        ),
        ({"0_bias": torch.full((3,), torch.nan)}, "0.bias hold NaN or infinity"),
    ],
)
def test_load__misfits_are_named(changes, message, tmp_path):
    line = rf"^Cannot use .*w\.model as Network: {message}.* published weights\.model"
    with pytest.raises(UsageError, match=line) as error:
        load(state(**changes), tmp_path / "w.model")
    assert "\n" not in str(error.value)


def test_load__another_network(tmp_path):
    content = {f"layer{i}.weight": torch.ones(2) for i in range(50)}
    with pytest.raises(
        UsageError, match=r"another network, with weights such as layer0\.weight\. Give"
    ):
        load(content, tmp_path / "w.model")


def test_load__many_misfits_are_counted(tmp_path):
    spare = {f"{i}_spare": torch.ones(1) for i in range(10, 17)}
    with pytest.raises(
        UsageError, match=r"unexpected 10\.spare, 11\.spare, 12\.spare and 4 more\."
    ):
        load(state(**spare), tmp_path / "w.model")


def test_load__a_misfit_leaves_the_network_unchanged(tmp_path):
    torch.save(state(**{"0_bias": torch.full((3,), torch.inf)}), tmp_path / "w.model")
    network = Network()
    before = network[0].weight.clone()
    with pytest.raises(UsageError, match="infinity"):
        load_published_weights(network, tmp_path / "w.model", "weights.model")
    assert torch.equal(network[0].weight, before)


class Hostile:
    """Makes a folder when it is unpickled by a reader that runs code."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("legacy", [True, False])
def test_load__runs_no_code(legacy, tmp_path):
    trap = tmp_path / "trap"
    with pytest.raises(UsageError, match=r"Refused to read .*w\.model"):
        load({**state(), "extra": Hostile(trap)}, tmp_path / "w.model", legacy)
    assert not trap.exists()


def test_load__no_file(tmp_path):
    with pytest.raises(UsageError, match=r"Cannot read .*none\.model: No such file"):
        load_published_weights(Network(), tmp_path / "none.model", "weights.model")
