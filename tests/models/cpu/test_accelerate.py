"""A model of fast layers is the plain model in everything but speed."""

import copy
import pickle

import pytest
import torch
from timm.layers import Mlp
from torch import nn

from lightly_marlin.models import Marlin, MarlinDiscriminator, accelerate_cpu
from lightly_marlin.models.blocks import QVBiasAttention
from lightly_marlin.models.cpu import restore_layers
from lightly_marlin.models.cpu.attention import FastAttention
from lightly_marlin.models.cpu.linear import FastLinear
from lightly_marlin.models.cpu.mlp import FastMlp

FAST = {FastAttention, FastLinear, FastMlp}


@pytest.fixture
def plain(toy):
    torch.manual_seed(0)
    model = Marlin(toy)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.05 * torch.randn(parameter.shape)
    return model


@pytest.fixture
def run(toy_videos, split_tokens):
    """Predicts, and returns the prediction with all gradients."""
    split = split_tokens(2, 32, 3)

    def predict(model):
        model.zero_grad()
        pred = model(toy_videos, *split)
        pred.square().mean().backward()
        grads = [p.grad.clone() for p in model.parameters() if p.requires_grad]
        return [pred.detach(), *grads]

    return predict


def kinds(model):
    return [type(module) for module in model.modules()]


def equal(results, expected):
    return all(torch.equal(a, b) for a, b in zip(results, expected, strict=True))


def test_every_plain_layer_is_swapped(plain):
    found = set(kinds(accelerate_cpu(plain)))
    assert found >= FAST
    assert not found & {nn.Linear, Mlp, QVBiasAttention}


def test_values_and_gradients(plain, run, convolutions):
    expected = run(plain)
    assert not convolutions
    torch.testing.assert_close(run(accelerate_cpu(plain)), expected)
    assert convolutions


def test_swapping_twice_is_swapping_once(plain):
    assert accelerate_cpu(plain) is plain
    once = kinds(plain)
    assert kinds(accelerate_cpu(plain)) == once


def test_undoing_leaves_the_plain_model(plain, run):
    types, names, expected = kinds(plain), list(plain.state_dict()), run(plain)
    parameters, modules = list(plain.parameters()), list(plain.modules())
    accelerate_cpu(plain)
    assert list(plain.state_dict()) == names
    assert restore_layers(restore_layers(plain)) is plain
    assert kinds(plain) == types
    assert list(plain.state_dict()) == names
    assert all(a is b for a, b in zip(plain.parameters(), parameters, strict=True))
    assert all(a is b for a, b in zip(plain.modules(), modules, strict=True))
    assert equal(run(plain), expected)


def by_pickle(model):
    return pickle.loads(pickle.dumps(model))


@pytest.mark.parametrize("copied", [copy.deepcopy, by_pickle])
def test_copies_and_pickles_stay_fast_and_can_be_undone(copied, plain, run):
    expected = run(accelerate_cpu(plain))
    again = copied(plain)
    assert kinds(again) == kinds(plain)
    torch.testing.assert_close(run(again), expected)
    assert not set(kinds(restore_layers(again))) & FAST
    assert set(kinds(plain)) >= FAST


def test_compiled_models_are_one_graph_of_plain_products(plain, run, convolutions):
    expected = run(plain)
    compiled = torch.compile(accelerate_cpu(plain), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(run(compiled), expected)
    assert not convolutions


def test_autocast_is_left_to_pytorch(plain, run, convolutions):
    results = []
    for model in (copy.deepcopy(plain), accelerate_cpu(plain)):
        with torch.autocast("cpu", torch.bfloat16):
            results.append(run(model))
    assert equal(*results)
    assert not convolutions


@pytest.mark.parametrize("grad", [True, False])
def test_hooks_stay_and_fire(grad, plain, toy_videos):
    seen = []
    for module in plain.encoder.modules():
        module.register_forward_hook(lambda module, *_: seen.append(id(module)))
    with torch.set_grad_enabled(grad):
        plain.encoder(toy_videos)
        first = seen.copy()
        seen.clear()
        accelerate_cpu(plain).encoder(toy_videos)
    assert seen == first


@pytest.mark.parametrize("vendor_name", ["GenuineIntel", ""])
def test_other_processors_compute_as_the_plain_model(
    vendor_name, plain, run, vendor, convolutions
):
    vendor(vendor_name)
    expected = run(plain)
    assert equal(run(accelerate_cpu(plain)), expected)
    assert not convolutions


def test_other_layers_are_left_alone():
    class Special(nn.Linear):
        pass

    model = nn.Sequential(Special(2, 3), nn.Conv2d(1, 1, 1), nn.Linear(3, 2))
    assert kinds(accelerate_cpu(model))[1:] == [Special, nn.Conv2d, FastLinear]
    assert kinds(restore_layers(model))[1:] == [Special, nn.Conv2d, nn.Linear]


def test_a_layer_itself_can_be_handed_over():
    assert type(accelerate_cpu(nn.Linear(2, 3))) is FastLinear


def test_discriminators_score_by_one_convolution(convolutions):
    critic, patches = MarlinDiscriminator(6, 8), torch.rand(2, 5, 6)
    expected = critic(patches)
    torch.testing.assert_close(accelerate_cpu(critic)(patches), expected)
    # The product with a vector is faster as it is.
    assert len(convolutions) == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.no_grad()
def test_no_clips_on_the_fast_paths(dtype, plain):
    model = accelerate_cpu(plain).to(dtype)
    idx = torch.arange(32).expand(0, -1)
    videos = torch.zeros(0, 3, 16, 32, 32, dtype=torch.uint8)
    assert model(videos, idx[:, :3], idx[:, 3:]).shape == (0, 29, 1536)
    assert model.encoder(videos).shape == (0, 24)
    critic = accelerate_cpu(MarlinDiscriminator(1536, 48))
    assert critic(torch.zeros(0, 29, 1536)).shape == (0, 29, 1)
