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


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_last_tokens_alone_are_those_of_all(depth, checkpointing):
    torch.manual_seed(0)
    blocks = TransformerBlocks(12, depth, num_heads=3).double()
    for parameter in blocks.parameters():
        nn.init.normal_(parameter, std=0.3)
    blocks.grad_checkpointing = checkpointing
    x = torch.randn(2, 5, 12, dtype=torch.float64, requires_grad=True)
    results = []
    for out in (blocks(x)[:, 2:], blocks(x, 2)):
        gradients = torch.autograd.grad(out.square().sum(), [x, *blocks.parameters()])
        results.append((out.detach(), *gradients))
    assert results[1][0].shape == (2, 3, 12)
    torch.testing.assert_close(*results)


def test_last_tokens_alone__fewer_operations():
    from torch.utils.flop_counter import FlopCounterMode

    blocks = TransformerBlocks(12, 1, num_heads=3)
    x, counts = torch.randn(2, 10, 12), []
    for num_context in (0, 5):
        with FlopCounterMode(display=False) as counter:
            blocks(x, num_context)
        counts.append(counter.get_total_flops())
    # Half of the 24 D² of a token but of the 4 for keys and values; attention is not
    # counted on a CPU.
    assert counts == [24 * 20 * 144, 14 * 20 * 144]


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


def test_set_drop_path__linear_ramp():
    blocks = TransformerBlocks(12, depth=5, num_heads=3)
    blocks.set_drop_path(0.4)
    rates = [getattr(block.drop_path1, "drop_prob", 0.0) for block in blocks]
    assert rates == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert isinstance(blocks[0].drop_path2, nn.Identity)
    assert blocks[3].drop_path2.drop_prob == pytest.approx(0.3)


def test_set_drop_path__single_block_has_the_rate_itself():
    blocks = TransformerBlocks(12, depth=1, num_heads=3)
    blocks.set_drop_path(0.2)
    assert blocks[0].drop_path1.drop_prob == 0.2


def test_set_drop_path__zero_is_as_never_set():
    """Same state dict, same bits, and no random number is drawn."""
    torch.manual_seed(0)
    blocks = TransformerBlocks(12, depth=3, num_heads=3).train()
    x = torch.randn(2, 5, 12)
    before, names = blocks(x), list(blocks.state_dict())
    blocks.set_drop_path(0.5)
    assert list(blocks.state_dict()) == names
    assert not torch.equal(blocks(x), before)
    blocks.set_drop_path(0)
    state = torch.get_rng_state()
    assert torch.equal(blocks(x), before)
    assert torch.equal(torch.get_rng_state(), state)


def test_set_drop_path__off_in_evaluation():
    blocks = TransformerBlocks(12, depth=3, num_heads=3).eval()
    x = torch.randn(2, 5, 12)
    before = blocks(x)
    blocks.set_drop_path(0.9)
    assert torch.equal(blocks(x), before)


def test_set_drop_path__clips_are_dropped_one_by_one():
    """A dropped branch leaves the clip alone; a kept one is scaled by 1 / (1 - p)."""
    torch.manual_seed(0)
    blocks = TransformerBlocks(12, depth=1, num_heads=3).train()
    blocks[0].mlp = nn.Identity()
    nn.init.zeros_(blocks[0].norm2.weight)
    x = torch.randn(1, 5, 12).expand(400, -1, -1)
    full = blocks(x)[0] - x[0]
    blocks.set_drop_path(0.25)
    change = (blocks(x) - x)[:, 0, 0] / full[0, 0]
    dropped = change.abs() < 1e-6
    assert 0.19 < dropped.float().mean() < 0.31
    torch.testing.assert_close(
        change[~dropped], torch.full_like(change[~dropped], 4 / 3), rtol=1e-4, atol=0
    )


def test_set_drop_path__recomputed_gradients_are_the_same():
    blocks = TransformerBlocks(12, depth=3, num_heads=3).train()
    blocks.set_drop_path(0.5)
    x = torch.randn(4, 5, 12)
    gradients = []
    for blocks.grad_checkpointing in (False, True):
        torch.manual_seed(1)
        blocks.zero_grad()
        blocks(x).square().sum().backward()
        gradients.append([p.grad.clone() for p in blocks.parameters()])
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_set_drop_path__rate_out_of_range(rate):
    blocks = TransformerBlocks(12, depth=1, num_heads=3)
    with pytest.raises(ValueError, match=rf"drop path rate {rate}: must be in \[0, 1"):
        blocks.set_drop_path(rate)
