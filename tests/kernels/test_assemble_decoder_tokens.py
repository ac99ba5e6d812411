import pytest
import torch
from torch.autograd import gradcheck

from lightly_marlin.kernels import assemble_decoder_tokens, reference
from lightly_marlin.kernels.assemble_decoder_tokens import assemble_decoder_tokens_op

FUNCTIONS = (assemble_decoder_tokens, reference.assemble_decoder_tokens)


def _inputs(dtype=torch.float32, mask_shape=(1, 1, 4), pos_shape=(1, 9, 4), kept=3):
    torch.manual_seed(0)
    order = torch.stack([torch.randperm(9), torch.randperm(9)])
    idx_keep, idx_mask = order[:, :kept].sort()[0], order[:, kept:].sort()[0]
    floats = (torch.randn(shape) for shape in ((2, kept, 4), mask_shape, pos_shape))
    return *(f.to(dtype).requires_grad_() for f in floats), idx_keep, idx_mask


@pytest.mark.parametrize("assemble", FUNCTIONS)
@pytest.mark.parametrize("mask_shape", [(1, 1, 4), (4,)])
@pytest.mark.parametrize("pos_shape", [(1, 9, 4), (9, 4)])
@pytest.mark.parametrize("kept", [1, 3, 9])
def test_equals_naive(assemble, mask_shape, pos_shape, kept):
    inputs = _inputs(mask_shape=mask_shape, pos_shape=pos_shape, kept=kept)
    visible, mask_token, pos_embed, idx_keep, idx_mask = inputs
    joined, positions = assemble(*inputs), pos_embed.view(9, 4)
    assert joined.shape == (2, 9, 4)
    for b in range(2):
        for k, token in enumerate(idx_keep[b].tolist()):
            assert torch.equal(joined[b, k], visible[b, k] + positions[token])
        for k, token in enumerate(idx_mask[b].tolist(), start=kept):
            assert torch.equal(joined[b, k], mask_token.flatten() + positions[token])


@pytest.mark.parametrize("assemble", FUNCTIONS)
def test_widest_dtype_wins(assemble):
    """Under autocast the visible tokens are bfloat16 and the parameters float32."""
    visible, *others = _inputs()
    assert assemble(visible.bfloat16(), *others).dtype == torch.float32
    assert assemble(*_inputs(torch.bfloat16)).dtype == torch.bfloat16


def test_repeated_positions():
    """Indices need not be a partition: a decoder may see some tokens twice."""
    visible, mask_token, pos_embed, idx_keep, _ = _inputs()
    joined = assemble_decoder_tokens(visible, mask_token, pos_embed, idx_keep, idx_keep)
    expected = reference.assemble_decoder_tokens(
        visible, mask_token, pos_embed, idx_keep, idx_keep
    )
    assert torch.equal(joined, expected)


@pytest.mark.parametrize(
    ("mask_shape", "pos_shape"), [((1, 1, 4), (1, 9, 4)), ((4,), (9, 4))]
)
def test_gradcheck(mask_shape, pos_shape):
    *floats, idx_keep, idx_mask = _inputs(torch.float64, mask_shape, pos_shape)
    assert gradcheck(
        lambda *f: assemble_decoder_tokens(*f, idx_keep, idx_mask), tuple(floats)
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_gradient_equals_reference(dtype):
    grads = []
    for assemble in FUNCTIONS:
        inputs = _inputs(dtype)
        upstream = torch.linspace(-1, 1, 72).view(2, 9, 4).to(dtype)
        (assemble(*inputs) * upstream).sum().backward()
        grads.append([f.grad for f in inputs[:3]])
    assert all(grad.dtype == dtype for grad in grads[0])
    torch.testing.assert_close(grads[0], grads[1], atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize("learned", [0, 1, 2])
def test_gradient_only_where_asked(learned):
    *floats, idx_keep, idx_mask = _inputs()
    floats = [f.detach().requires_grad_(i == learned) for i, f in enumerate(floats)]
    assemble_decoder_tokens(*floats, idx_keep, idx_mask).sum().backward()
    assert [f.grad is not None for f in floats] == [i == learned for i in range(3)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_opcheck(dtype):
    torch.library.opcheck(assemble_decoder_tokens_op, _inputs(dtype))


IDX = torch.tensor([[0], [1]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"visible": torch.zeros(2, 4)}, "visible must have 3 dimensions"),
        ({"mask_token": torch.zeros(1, 4)}, r"mask_token must have shape \(4,\) or"),
        ({"mask_token": torch.zeros(4).int()}, "mask_token must be a floating-point"),
        ({"pos_embed": torch.zeros(9, 5)}, r"pos_embed must have shape \(N, 4\)"),
        ({"idx_keep": IDX + 8}, r"idx_keep must be in \[0, 9\), got .* \[8, 9\]"),
        ({"idx_mask": IDX - 1}, r"idx_mask must be in \[0, 9\), got .* \[-1, 0\]"),
        ({"idx_keep": IDX.repeat(1, 2)}, "idx_keep must have one index for each of 1"),
        ({"idx_mask": IDX[:1]}, r"idx_mask must have shape \(B, n\) with B = 2"),
    ],
)
def test_bad_arguments(options, message):
    arguments = {
        "visible": torch.zeros(2, 1, 4),
        "mask_token": torch.zeros(4),
        "pos_embed": torch.zeros(9, 4),
        "idx_keep": IDX,
        "idx_mask": IDX,
        **options,
    }
    with pytest.raises(ValueError, match=message):
        assemble_decoder_tokens(**arguments)
