import pytest
import torch
from naive_kernels import assert_rounds_to, random_idx
from torch.autograd import gradcheck

from lightly_marlin.kernels import gather_tokens, reference
from lightly_marlin.kernels.gather_tokens import gather_tokens_op

get_at_index = pytest.importorskip("lightly.models.utils").get_at_index

FUNCTIONS = (gather_tokens, reference.gather_tokens)
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@pytest.mark.parametrize("gather", FUNCTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("pos_dtype", DTYPES)
@pytest.mark.parametrize("pos_shape", [(1, 9, 5), (9, 5)])
def test_equals_lightly(gather, dtype, pos_dtype, pos_shape):
    tokens = torch.randn(3, 9, 5).to(dtype)
    pos_embed = torch.randn(pos_shape).to(pos_dtype)
    idx = random_idx(3, 4, 9)
    expected = get_at_index(tokens + pos_embed, idx)
    chosen = gather(tokens, idx, pos_embed)
    assert chosen.dtype == expected.dtype
    assert_rounds_to(chosen, expected)


@pytest.mark.parametrize("gather", FUNCTIONS)
@pytest.mark.parametrize(("batch_size", "count"), [(1, 1), (1, 9), (2, 9), (3, 0)])
def test_without_positions(gather, batch_size, count):
    tokens, idx = torch.randn(batch_size, 9, 5), random_idx(batch_size, count, 9)
    assert torch.equal(gather(tokens, idx), get_at_index(tokens, idx))


@pytest.mark.parametrize("gather", FUNCTIONS)
def test_any_strides(gather):
    """Tokens without their class token, and tokens as a convolution leaves them."""
    idx = random_idx(2, 4, 9)
    for tokens in (torch.randn(2, 10, 5)[:, 1:], torch.randn(2, 5, 9).mT):
        assert not tokens.is_contiguous()
        assert torch.equal(gather(tokens, idx), get_at_index(tokens, idx))
    assert gather_tokens(tokens, idx).is_contiguous()


def test_gradcheck():
    tokens = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    pos_embed = torch.randn(1, 5, 3, dtype=torch.float64, requires_grad=True)
    idx = torch.tensor([[0, 2], [4, 4]])  # a repeated token adds up
    assert gradcheck(lambda x, p: gather_tokens(x, idx, p), (tokens, pos_embed))
    assert gradcheck(
        lambda p: gather_tokens(tokens, idx, p),
        (pos_embed.detach()[0].requires_grad_(),),
    )
    assert gradcheck(lambda x: gather_tokens(x, idx), (tokens,))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_gradient_equals_reference(dtype):
    idx, upstream, grads = random_idx(3, 6, 9), torch.randn(3, 6, 5), []
    for gather in FUNCTIONS:
        torch.manual_seed(0)
        tokens = torch.randn(3, 9, 5).to(dtype).requires_grad_()
        pos_embed = torch.randn(1, 9, 5, requires_grad=True)
        (gather(tokens, idx, pos_embed) * upstream).sum().backward()
        grads.append((tokens.grad, pos_embed.grad))
    assert grads[0][0].dtype == dtype
    torch.testing.assert_close(grads[0], grads[1])


@pytest.mark.parametrize("pos_shape", [(1, 9, 4), (9, 4), None])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_opcheck(pos_shape, dtype):
    tokens = torch.randn(2, 9, 4).to(dtype).requires_grad_()
    pos_embed = None if pos_shape is None else torch.randn(pos_shape).requires_grad_()
    torch.library.opcheck(gather_tokens_op, (tokens, random_idx(2, 3, 9), pos_embed))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tokens": torch.zeros(9, 5)}, r"tokens must have 3 dimensions, got shape"),
        ({"tokens": torch.zeros(2, 9, 5).long()}, "tokens must be a floating-point"),
        ({"idx": torch.full((2, 1), 9)}, r"idx must be in \[0, 9\), got values in"),
        ({"pos_embed": torch.zeros(2, 9, 5)}, r"pos_embed must have shape \(N, 5\)"),
        ({"pos_embed": torch.zeros(9, 6)}, r"tokens are 5 wide, got shape \(9, 6\)"),
        ({"pos_embed": torch.zeros(8, 5)}, r"each of 9 tokens, got shape \(8, 5\)"),
        ({"pos_embed": torch.zeros(9, 5).long()}, "pos_embed must be a floating-point"),
    ],
)
def test_bad_arguments(options, message):
    idx = torch.zeros(2, 1, dtype=torch.int64)
    with pytest.raises(ValueError, match=message):
        gather_tokens(**{"tokens": torch.zeros(2, 9, 5), "idx": idx, **options})
