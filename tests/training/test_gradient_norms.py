"""Gradient norms of the terms of a loss, beside those of plain backward passes."""

import math

import pytest
import torch
from torch import nn

from lightly_marlin.models import Marlin, MarlinConfig
from lightly_marlin.training.gradient_norms import gradient_norms


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 4), nn.GELU(), nn.Linear(4, 3))


def terms_of(network):
    out = network(torch.randn(6, 5, generator=torch.Generator().manual_seed(1)))
    return {"square": out.square().mean(), "sum": -0.3 * out.sum()}


def gradient_of(loss, parameters):
    """The gradient as one vector, by a backward pass of its own."""
    for parameter in parameters:
        parameter.grad = None
    loss.backward(retain_graph=True)
    return torch.cat([parameter.grad.flatten() for parameter in parameters])


def test_gradient_norms__known_value():
    weight = nn.Parameter(torch.tensor([3.0, 4.0]))
    losses = {"square": weight.square().sum() / 2, "first": 2 * weight[0]}
    norms = gradient_norms(losses, [weight])
    assert {name: norm.item() for name, norm in norms.items()} == {
        "square": pytest.approx(5),
        "first": pytest.approx(2),
    }


def test_gradient_norms__equal_backward_passes_and_those_of_the_sum(network):
    terms = terms_of(network)
    encoder = list(network[0].parameters())
    norms = gradient_norms({**terms, "total": sum(terms.values())}, encoder)
    gradients = {name: gradient_of(loss, encoder) for name, loss in terms.items()}
    for name, gradient in gradients.items():
        torch.testing.assert_close(norms[name], gradient.norm())
    torch.testing.assert_close(norms["total"], sum(gradients.values()).norm())
    assert norms["total"] < norms["square"] + norms["sum"]


def test_gradient_norms__leave_gradients_hooks_and_graph(network):
    terms = terms_of(network)
    called = []
    for parameter in network.parameters():
        parameter.register_post_accumulate_grad_hook(called.append)
    norms = gradient_norms(terms, network.parameters())
    assert not any(norm.requires_grad for norm in norms.values())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not called
    # As if no norms had been asked for.
    sum(terms.values()).backward()
    found = [parameter.grad for parameter in network.parameters()]
    network.zero_grad()
    sum(terms_of(network).values()).backward()
    assert all(
        torch.equal(grad, parameter.grad)
        for grad, parameter in zip(found, network.parameters(), strict=True)
    )


def test_gradient_norms__what_is_not_used_counts_0(network):
    used, idle = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))
    frozen = nn.Parameter(torch.ones(2), requires_grad=False)
    loss = (used * frozen).sum()
    both = gradient_norms({"loss": loss}, [used, idle, frozen])["loss"]
    assert both.item() == pytest.approx(math.sqrt(2))
    assert gradient_norms({"loss": loss}, [idle])["loss"] == 0
    assert gradient_norms({"loss": loss}, [frozen])["loss"] == 0
    assert gradient_norms({"loss": loss}, [])["loss"] == 0
    assert gradient_norms({"off": torch.zeros(())}, [used])["off"] == 0
    assert gradient_norms({}, [used]) == {}


@pytest.mark.parametrize("recomputed", [False, True])
def test_gradient_norms__of_an_encoder(recomputed):
    torch.manual_seed(0)
    sizes = {"encoder_dim": 24, "encoder_depth": 2, "encoder_num_heads": 2}
    sizes |= {"decoder_dim": 12, "decoder_depth": 1, "decoder_num_heads": 2}
    model = Marlin(MarlinConfig(img_size=32, **sizes))
    model.encoder.set_grad_checkpointing(recomputed)
    videos = torch.randint(0, 256, (2, 3, 16, 32, 32), dtype=torch.uint8)
    order = torch.arange(32).expand(2, 32)
    pred = model(videos, order[:, :4], order[:, 4:])
    losses = {"pixels": pred.square().mean(), "weighted": 0.01 * pred.square().mean()}
    norms = gradient_norms(losses, model.encoder.parameters())
    assert norms["pixels"] > 0
    torch.testing.assert_close(norms["weighted"], 0.01 * norms["pixels"])
    weights = [p for p in model.encoder.parameters() if p.requires_grad]
    gradient = gradient_of(losses["pixels"], weights)
    torch.testing.assert_close(norms["pixels"], gradient.norm())


def test_gradient_norms__refuse_what_is_no_scalar():
    weight = nn.Parameter(torch.ones(2))
    with pytest.raises(ValueError, match=r"loss pixels \(2,\): must be a scalar"):
        gradient_norms({"pixels": weight * 2}, [weight])
