import pytest
import torch
from torch import nn

from lightly_marlin.models.cpu.mlp import FastMlp


@pytest.fixture
def mlp():
    torch.manual_seed(0)
    return FastMlp(6, 24).double()


@pytest.fixture
def x():
    return torch.randn(2, 5, 6, dtype=torch.float64)


def naive(mlp, x):
    hidden = x @ mlp.fc1.weight.T + mlp.fc1.bias
    hidden = hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5))
    return hidden @ mlp.fc2.weight.T + mlp.fc2.bias


def test_values_with_and_without_gradients(mlp, x):
    expected, before = naive(mlp, x), x.clone()
    torch.testing.assert_close(mlp(x), expected)
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            torch.testing.assert_close(mlp(x), expected)
    assert torch.equal(x, before)


def test_gradients(mlp, x):
    x.requires_grad_()
    ours = torch.autograd.grad(mlp(x).square().sum(), [x, *mlp.parameters()])
    theirs = torch.autograd.grad(naive(mlp, x).square().sum(), [x, *mlp.parameters()])
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_in_place_changes_no_bit(dtype, mlp, x):
    mlp, x = mlp.to(dtype), x.to(dtype)
    with torch.no_grad():
        assert torch.equal(mlp(x), mlp.fc2(nn.functional.gelu(mlp.fc1(x))))


@pytest.mark.parametrize("name", ["fc1", "act"])
def test_hooks_see_what_they_should(name, mlp, x):
    seen = []
    with torch.no_grad():
        hidden = mlp.fc1(x)
        getattr(mlp, name).register_forward_hook(lambda m, i, o: seen.append((i[0], o)))
        mlp(x)
    given, made = (x, hidden) if name == "fc1" else (hidden, nn.functional.gelu(hidden))
    torch.testing.assert_close(seen[0][0], given)
    torch.testing.assert_close(seen[0][1], made)


def test_hooks_before_the_activation_see_the_hidden_layer(mlp, x):
    seen = []
    with torch.no_grad():
        hidden = mlp.fc1(x)
        mlp.act.register_forward_pre_hook(lambda m, i: seen.append(i[0]))
        mlp(x)
    torch.testing.assert_close(seen, [hidden])


def test_another_activation_is_used(mlp, x):
    mlp.act = nn.GELU("tanh")
    with torch.no_grad():
        expected = mlp.fc2(nn.functional.gelu(mlp.fc1(x), approximate="tanh"))
        torch.testing.assert_close(mlp(x), expected)
