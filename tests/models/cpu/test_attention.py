import pytest
import torch
import torch.nn.functional as F

from lightly_marlin.models.cpu import attention as module
from lightly_marlin.models.cpu.attention import attention


@pytest.fixture
def by_products(monkeypatch):
    """Counts how often attention is computed by plain products."""
    calls, compute = [], module._by_products

    def count(*tensors):
        calls.append(tensors)
        return compute(*tensors)

    monkeypatch.setattr(module, "_by_products", count)
    return calls


def make(dtype=torch.bfloat16, length=50):
    generator = torch.Generator().manual_seed(0)
    size = (2, length, 3, 4, 16)  # As the blocks cut them out of one product.
    joined = torch.randn(size, generator=generator).to(dtype)
    return joined.permute(2, 0, 3, 1, 4).unbind(0)


@pytest.mark.parametrize("length", [1, 50, 784, 785])
def test_bf16_on_cpus_is_what_float32_gives(length, by_products):
    q, k, v = make(length=length)
    out = attention(q, k, v)
    assert len(by_products) == 1
    assert out.dtype == torch.bfloat16
    expected = F.scaled_dot_product_attention(q.float(), k.float(), v.float())
    torch.testing.assert_close(out.float(), expected, rtol=0.02, atol=0.02)
    # The blocks join the heads without a copy.
    assert out.transpose(1, 2).is_contiguous()


def plain(**options):
    tensors = make(options.pop("dtype", torch.bfloat16))
    return tensors, options


@pytest.mark.parametrize(
    "options",
    [
        {"dtype": torch.float32},
        {"is_causal": True},
        {"attn_mask": torch.ones(50, 50, dtype=torch.bool).tril()},
    ],
)
def test_everything_else_is_left_to_pytorch(options, by_products):
    tensors, options = plain(**options)
    expected = F.scaled_dot_product_attention(*tensors, **options)
    assert torch.equal(attention(*tensors, **options), expected)
    assert by_products == []


def test_gradients_are_left_to_pytorch(by_products):
    q, k, v = (x.clone().requires_grad_() for x in make())
    attention(q, k, v).sum().backward()
    assert by_products == []
    with torch.no_grad():
        attention(q, k, v)
    assert len(by_products) == 1


def test_amx_is_left_to_pytorch(by_products, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    attention(*make())
    assert by_products == []


def test_other_processors_are_left_to_pytorch(by_products, vendor):
    vendor("GenuineIntel")
    attention(*make())
    assert by_products == []
