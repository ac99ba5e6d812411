import copy
from contextlib import nullcontext

import pytest
import torch
from torch import nn

from lightly_marlin.models import Marlin, MarlinConfig, MarlinDiscriminator
from lightly_marlin.models import grouped_casts as module
from lightly_marlin.models.grouped_casts import grouped_casts
from lightly_marlin.training import PretrainStep
from lightly_marlin.training.objectives import critic, objective_step
from lightly_marlin.transforms import tube_token_mask

SMALL = MarlinConfig(
    img_size=64,
    encoder_dim=24,
    encoder_depth=2,
    encoder_num_heads=2,
    decoder_dim=12,
    decoder_depth=2,
    decoder_num_heads=2,
)


def updated(penalty, checkpointing=False):
    """Weights after two steps under autocast."""
    torch.manual_seed(0)
    model = Marlin(SMALL)
    model.set_grad_checkpointing(checkpointing)
    discriminator = MarlinDiscriminator(SMALL.patch_dim, 48)
    networks = model, discriminator
    rates = [torch.optim.AdamW(network.parameters(), 1e-3) for network in networks]
    step = PretrainStep(*networks, *rates, gradient_penalty_weight=penalty)
    generator = torch.Generator().manual_seed(1)
    videos = torch.rand(2, 3, 16, 64, 64, generator=generator)
    masks = tube_token_mask((2, SMALL.grid), generator=generator)
    for _ in range(2):
        with torch.autocast("cpu", torch.bfloat16):
            step(videos, *masks, generator)
    return [
        parameter.detach() for network in networks for parameter in network.parameters()
    ]


@pytest.mark.parametrize("penalty", [0.0, 10.0])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_same_training_bit_for_bit(penalty, checkpointing, monkeypatch):
    grouped = updated(penalty, checkpointing)
    for user in (objective_step, critic):
        monkeypatch.setattr(user, "grouped_casts", lambda network: nullcontext())
    single = updated(penalty, checkpointing)
    assert all(torch.equal(*pair) for pair in zip(grouped, single, strict=True))


def test_weights_are_back_also_after_an_error():
    layer = nn.Linear(3, 2)
    weight = layer.weight
    with torch.autocast("cpu", torch.bfloat16), grouped_casts(layer):
        assert layer.weight.dtype == torch.bfloat16
    assert layer.weight is weight
    with (
        pytest.raises(RuntimeError),
        torch.autocast("cpu", torch.bfloat16),
        grouped_casts(layer),
    ):
        layer(torch.zeros(2, 4))
    assert layer.weight is weight


@pytest.mark.parametrize("reason", ["no autocast", "compiled", "half", "recomputed"])
def test_does_nothing(reason):
    model = Marlin(SMALL)
    if reason == "compiled":
        model.encoder.blocks[0].compile(backend="eager")
    if reason == "half":
        model.half()
    model.set_grad_checkpointing(reason == "recomputed")
    before = model.encoder.patch_embed.weight
    enabled = reason != "no autocast"
    with (
        torch.autocast("cpu", torch.bfloat16, enabled=enabled),
        grouped_casts(model),
    ):
        assert model.encoder.patch_embed.weight is before


def test_frozen_and_unused_weights():
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 1))
    layers[0].requires_grad_(False)
    expected = copy.deepcopy(layers)
    x = torch.randn(4, 3)
    with torch.autocast("cpu", torch.bfloat16):
        with grouped_casts(layers):
            layers[2](layers[0](x)).sum().backward()
        expected[2](expected[0](x)).sum().backward()
    for layer, other in zip(layers, expected, strict=True):
        for parameter, twin in zip(layer.parameters(), other.parameters(), strict=True):
            if twin.grad is None:
                assert parameter.grad is None
            else:
                assert torch.equal(parameter.grad, twin.grad)


def test_one_operation_for_all(monkeypatch):
    calls = []
    cast = module._cast
    monkeypatch.setattr(module, "_cast", lambda *a: calls.append(len(a[0])) or cast(*a))
    model = Marlin(SMALL)
    with torch.autocast("cpu", torch.bfloat16), grouped_casts(model):
        pass
    linear = sum(isinstance(part, nn.Linear) for part in model.modules())
    # Projections of queries, keys and values have their biases apart.
    assert len(calls) == 1
    assert calls[0] >= 2 * linear - 5
