"""The convolution behind the linear layer must be nothing but a linear layer."""

import pytest
import torch
import torch.nn.functional as F

from lightly_marlin.models.cpu.linear import FastLinear, linear


@pytest.mark.parametrize("shape", [(5,), (1, 5), (7, 5), (2, 3, 5), (2, 3, 4, 5)])
@pytest.mark.parametrize("with_bias", [True, False])
def test_linear__equals_torch_in_values_and_gradients(shape, with_bias):
    torch.manual_seed(0)
    inputs = [torch.randn(shape), torch.randn(6, 5)]
    inputs += [torch.randn(6)] if with_bias else []
    inputs = [tensor.requires_grad_() for tensor in inputs]
    actual, expected = linear(*inputs), F.linear(*inputs)
    torch.testing.assert_close(actual, expected)
    grad = torch.randn_like(expected)
    for mine, theirs in zip(
        torch.autograd.grad(actual, inputs, grad),
        torch.autograd.grad(expected, inputs, grad),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs)


def test_linear__strided_input():
    x, weight = torch.randn(5, 4, 3).transpose(0, 2), torch.randn(5, 6).t()
    torch.testing.assert_close(linear(x, weight), F.linear(x, weight))


def test_linear__double_backward():
    """The gradient penalty differentiates a gradient."""
    torch.manual_seed(0)
    x, weight = torch.randn(4, 5, requires_grad=True), torch.randn(6, 5)
    results = []
    for function in (linear, F.linear):
        w = weight.clone().requires_grad_()
        (grad,) = torch.autograd.grad(function(x, w).tanh().sum(), x, create_graph=True)
        results.append(torch.autograd.grad(grad.square().sum(), w)[0])
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_linear__other_dtypes(dtype):
    x, weight = torch.randn(3, 5, dtype=dtype), torch.randn(6, 5, dtype=dtype)
    assert torch.equal(linear(x, weight), F.linear(x, weight))


def test_linear__empty():
    assert linear(torch.zeros(0, 5), torch.zeros(6, 5)).shape == (0, 6)


def test_linear__autocast():
    with torch.autocast("cpu", torch.bfloat16):
        assert FastLinear(5, 6)(torch.randn(3, 5)).dtype == torch.bfloat16


@pytest.mark.parametrize("name", ["GenuineIntel", ""])
def test_linear__keeps_mkl_where_onednn_was_not_measured(name, vendor, convolutions):
    inputs = torch.randn(3, 5), torch.randn(6, 5)
    linear(*inputs)
    assert len(convolutions) == 1
    vendor(name)
    assert torch.equal(linear(*inputs), F.linear(*inputs))
    assert len(convolutions) == 1
