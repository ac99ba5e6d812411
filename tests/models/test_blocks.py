import pytest
import torch
from torch import nn

from lightly_marlin.models.blocks import (
    QVBiasAttention,
    TransformerBlocks,
    init_linear_and_norm,
)


@pytest.fixture
def attention():
    torch.manual_seed(0)
    module = QVBiasAttention(12, 3).double()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module


def naive_attention(module, x):
    """One head, one query at a time, straight from the definition."""
    q_weight, k_weight, v_weight = module.qkv.weight.chunk(3)
    q = x @ q_weight.T + module.q_bias
    k = x @ k_weight.T
    v = x @ v_weight.T + module.v_bias
    out = torch.empty_like(x)
    for head in range(3):
        part = slice(4 * head, 4 * head + 4)
        for clip, token in torch.cartesian_prod(torch.arange(2), torch.arange(5)):
            scores = k[clip, :, part] @ q[clip, token, part] / 2
            out[clip, token, part] = scores.softmax(0) @ v[clip, :, part]
    return out @ module.proj.weight.T + module.proj.bias


def test_attention_is_as_defined(attention):
    x = torch.randn(2, 5, 12, dtype=torch.float64)
    torch.testing.assert_close(attention(x), naive_attention(attention, x))


def test_a_bias_on_keys_would_change_nothing(attention):
    # Why the reference has none: timm's attention with one is the same function.
    from timm.models.vision_transformer import Attention

    full = Attention(12, num_heads=3, qkv_bias=True).double()
    state = attention.state_dict()
    q_bias, v_bias = state.pop("q_bias"), state.pop("v_bias")
    state["qkv.bias"] = torch.cat([q_bias, torch.randn(12).double(), v_bias])
    full.load_state_dict(state)
    x = torch.randn(2, 5, 12, dtype=torch.float64)
    torch.testing.assert_close(attention(x), full(x))


def test_blocks_are_pre_norm_with_exact_gelu():
    blocks = TransformerBlocks(12, depth=1, num_heads=3).double()
    block = blocks[0]
    x = torch.randn(2, 5, 12, dtype=torch.float64)
    y = x + block.attn(nn.functional.layer_norm(x, (12,), eps=1e-5))
    hidden = block.mlp.fc1(nn.functional.layer_norm(y, (12,), eps=1e-5))
    gelu = hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5))
    torch.testing.assert_close(blocks(x), y + block.mlp.fc2(gelu))


def test_mlp_ratio_sets_the_hidden_width():
    assert TransformerBlocks(8, 1, 2, mlp_ratio=2.5)[0].mlp.fc1.out_features == 20


def test_recomputed_gradients_are_the_same():
    blocks = TransformerBlocks(12, depth=2, num_heads=3)
    x = torch.randn(2, 5, 12)
    gradients = []
    for blocks.grad_checkpointing in (False, True):
        blocks.zero_grad()
        blocks(x).square().sum().backward()
        gradients.append([p.grad.clone() for p in blocks.parameters()])
    torch.testing.assert_close(*gradients)


def test_initialisation():
    linear, norm = nn.Linear(30, 20), nn.LayerNorm(20)
    for module in (linear, norm):
        for parameter in module.parameters():
            nn.init.constant_(parameter, 7)
        init_linear_and_norm(module)
    assert linear.weight.abs().max() <= (6 / 50) ** 0.5
    assert linear.weight.std() > 0.15
    assert not linear.bias.any()
    assert (norm.weight == 1).all()
    assert not norm.bias.any()
