"""Calls past the dispatcher: nobody can tell, but for the time they take."""

import pytest
import torch
from naive_kernels import random_idx, random_videos
from torch.utils._python_dispatch import TorchDispatchMode

from lightly_marlin.kernels import (
    assemble_decoder_tokens,
    gather_tokens,
    gather_tubelets,
    masked_reconstruction_loss,
    op_calls,
    reference,
)
from lightly_marlin.kernels.gather_tokens import gather_tokens_op
from lightly_marlin.kernels.op_calls import call_op

IDX = torch.tensor([[2, 0], [1, 1]])


class _Record(TorchDispatchMode):
    """Names of this package's ops that are called."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.namespace == "lightly_marlin":
            self.names.append(func._opname)
        return func(*args, **(kwargs or {}))


def _step(videos, leaves):
    """All ops, with every gradient there is."""
    pred, tokens, pos, mask_token = leaves
    chosen = gather_tokens(tokens, IDX, pos)
    joined = assemble_decoder_tokens(chosen, mask_token, pos, IDX, IDX[:, :1])
    pixels = gather_tubelets(videos, IDX, patch_size=8, std=[0.5] * 3)
    loss = masked_reconstruction_loss(pred, videos, IDX, patch_size=8, target="motion")
    value = 0.7 * loss + joined.square().mean() + pixels.square().mean()
    return value, *torch.autograd.grad(value, [videos, *leaves])


def _inputs():
    videos = random_videos((2, 3, 2, 16, 16), torch.float32).requires_grad_()
    shapes = ((2, 2, 384), (2, 4, 6), (1, 4, 6), (1, 1, 6))
    return videos, [torch.randn(shape).requires_grad_() for shape in shapes]


def test_same_bits_as_through_the_dispatcher():
    inputs = _inputs()
    with _Record() as record:
        expected = _step(*inputs)
    assert {"gather_tokens", "scatter_tokens", "sum_rows"} <= set(record.names)
    assert {"masked_token_losses", "scatter_tubelets"} <= set(record.names)
    for actual, exact in zip(_step(*inputs), expected, strict=True):
        assert torch.equal(actual, exact)


def test_eager_calls_go_past_the_dispatcher(monkeypatch):
    def refuse(*arguments):
        raise AssertionError("the op was called")

    monkeypatch.setitem(op_calls._bodies, refuse, op_calls._bodies[gather_tokens_op])
    tokens, parameter = torch.randn(2, 4, 6), torch.nn.Parameter(torch.randn(2, 4, 6))
    with torch.no_grad():
        for x in (tokens, parameter):
            chosen = call_op(refuse, x, IDX, None)
            assert torch.equal(chosen, reference.gather_tokens(x, IDX))
            assert not chosen.requires_grad
    with pytest.raises(AssertionError, match="the op was called"):
        call_op(refuse, parameter, IDX, None)
    leaf = tokens.requires_grad_()
    assert "gather_tokens" in type(gather_tokens(leaf, IDX).grad_fn).__name__


class _Subclass(torch.Tensor):
    pass


@pytest.mark.filterwarnings("ignore")  # of tracing
def test_whoever_watches_sees_the_op(monkeypatch):
    tokens = torch.randn(2, 4, 6)
    with _Record() as record:
        gather_tokens(tokens, IDX)
    assert record.names == ["gather_tokens"]
    with torch.profiler.profile() as profile:
        gather_tokens(tokens, IDX)
    names = {event.key for event in profile.key_averages()}
    assert "lightly_marlin::gather_tokens" in names
    traced = torch.jit.trace(gather_tokens, (tokens, IDX), check_trace=False)
    assert "lightly_marlin::gather_tokens" in str(traced.graph)
    calls = []
    monkeypatch.setitem(op_calls._bodies, calls.append, {})
    call_op(lambda *arguments: calls.append("op"), tokens.as_subclass(_Subclass))
    assert calls == ["op"]


def test_transforms_are_left_to_the_op():
    seen = []

    def function(x):
        seen.append(op_calls._somebody_watches())
        return x

    torch.func.vmap(function)(torch.zeros(2))
    assert seen == [True]
    assert not op_calls._somebody_watches()


def test_sign_that_is_kept_for_later():
    """The imaginary part of a conjugate: memory has it with the other sign."""
    tokens = torch.randn(2, 4, 6, dtype=torch.complex64).conj().imag
    assert tokens.is_neg()
    expected = reference.gather_tokens(tokens.clone(), IDX)
    assert torch.equal(gather_tokens(tokens, IDX), expected)


def test_double_backward_is_refused():
    tokens = torch.randn(2, 4, 6, requires_grad=True)
    chosen = gather_tokens(tokens, IDX)
    upstream = torch.ones_like(chosen, requires_grad=True)
    (grad,) = torch.autograd.grad(chosen, tokens, upstream, create_graph=True)
    with pytest.raises(RuntimeError, match="no autograd formula was registered"):
        grad.sum().backward()


def test_meta_tensors():
    idx = random_idx(2, 2, 4).to("meta")
    assert gather_tokens(torch.empty(2, 4, 6, device="meta"), idx).shape == (2, 2, 6)
