import dataclasses
from types import SimpleNamespace

import pytest
import torch
from small_marlin import SMALL
from torch import nn

from lightly_marlin.models import Marlin
from lightly_marlin.training.optimizers import (
    UncountedOptimizer,
    follow_settings,
    is_matrix,
    make_optimizer,
)
from lightly_marlin.training.settings import PretrainSettings


def test_make_optimizer__decay_on_matrices_alone():
    model = Marlin(SMALL)
    settings = PretrainSettings(weight_decay=0.1)
    decayed, others = make_optimizer(model.parameters(), 1.0, settings).param_groups
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    names = {p: name for name, p in model.named_parameters()}
    trained = [names[p] for p in decayed["params"] if p.requires_grad]
    assert all(name.endswith("weight") for name in trained)
    left = {names[p].rpartition(".")[2] for p in others["params"]}
    # Weights among them are those of norms; fixed embeddings are never updated.
    assert left == {"weight", "bias", "q_bias", "v_bias", "mask_token"}
    matrices = {p for p in others["params"] if is_matrix(p)}
    assert not matrices
    assert len(decayed["params"]) + len(others["params"]) == len(names)


def test_make_optimizer__one_group_without_decay():
    """As in earlier versions, whose checkpoints it reads."""
    optimizer = make_optimizer(Marlin(SMALL).parameters(), 0.5, PretrainSettings())
    (group,) = optimizer.param_groups
    assert group["lr"] == group["initial_lr"] == 0.5
    assert group["fused"]


def test_follow_settings__after_a_checkpoint_of_others():
    settings = PretrainSettings(weight_decay=0.1)
    saved = make_optimizer(nn.Linear(2, 2).parameters(), 1.0, settings).state_dict()
    settings = dataclasses.replace(settings, weight_decay=0.2, beta2=0.9)
    optimizer = make_optimizer(nn.Linear(2, 2).parameters(), 1.0, settings)
    optimizer.load_state_dict(saved)
    follow_settings(optimizer, settings)
    assert [g["weight_decay"] for g in optimizer.param_groups] == [0.2, 0.0]
    assert {g["betas"] for g in optimizer.param_groups} == {(0.9, 0.9)}


def test_follow_settings__rate_of_a_graph_is_a_tensor():
    settings = PretrainSettings(cuda_graph=True)
    optimizer = make_optimizer(nn.Linear(2, 2).parameters(), 1.0, settings)
    rate = optimizer.param_groups[0]["lr"]
    assert isinstance(rate, torch.Tensor)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.25 * step)
    # In place: a graph goes on reading the same memory.
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] is rate
    assert float(rate) == 0.25
    # Numbers, whose product needs no reading from the device.
    assert [type(base) for base in scheduler.base_lrs] == [float]
    follow_settings(optimizer, PretrainSettings())
    assert optimizer.param_groups[0]["lr"] == 0.25
    assert not optimizer.param_groups[0]["capturable"]


@pytest.mark.parametrize(("clip", "expected"), [(0.0, 10.0), (1.0, 1.0), (20.0, 10.0)])
def test_uncounted_optimizer__clips(clip, expected):
    weight = nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor([6.0, 8.0])
    seen = []

    def step(optimizer, closure):
        closure()
        seen.append(float(weight.grad.norm()))

    trainer = SimpleNamespace(strategy=SimpleNamespace(optimizer_step=step))
    optimizer = torch.optim.SGD([weight], 1.0)
    UncountedOptimizer(trainer, optimizer, clip).step()
    assert seen == pytest.approx([expected], rel=1e-5)
