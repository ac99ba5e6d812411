"""What only a GPU can show: graphs, compilers, other devices and the debug mode."""

import pytest
import torch
from naive_kernels import random_idx, random_videos
from torch.library import opcheck

from lightly_marlin.kernels import (
    dispatch,
    gather_tokens,
    gather_tubelets,
    masked_reconstruction_loss,
)
from lightly_marlin.kernels.assemble_decoder_tokens import assemble_decoder_tokens_op
from lightly_marlin.kernels.benchmarks.graph import measure_graph
from lightly_marlin.kernels.benchmarks.workload import TINY
from lightly_marlin.kernels.gather_tokens import gather_tokens_op
from lightly_marlin.kernels.gather_tubelets import gather_tubelets_op
from lightly_marlin.kernels.masked_token_losses import masked_token_losses_op

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is here")

GPU = torch.device("cuda")


def _loss_inputs(dtype=torch.bfloat16):
    videos, idx = random_videos((2, 3, 4, 32, 48)).to(GPU), random_idx(2, 9, 12).to(GPU)
    return torch.randn(2, 9, 1536, device=GPU).to(dtype), videos, idx


def test_kernels_run():
    """Not their plain versions."""
    dispatch._logged.clear()
    pred, videos, idx = _loss_inputs()
    masked_reconstruction_loss(pred.requires_grad_(), videos, idx).backward()
    gather_tubelets(videos, idx)
    assert dispatch.find_fallbacks() == []


@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
def test_compile(mode):
    pred, videos, idx = _loss_inputs()
    compiled = torch.compile(masked_reconstruction_loss, fullgraph=True, mode=mode)
    results = []
    for function in (compiled, masked_reconstruction_loss):
        leaf = pred.clone().requires_grad_()
        value = function(leaf, videos, idx, norm_pix=True)
        value.backward()
        results.append((value.detach().clone(), leaf.grad.clone()))
    torch.testing.assert_close(*results, rtol=1e-2, atol=1e-6)


def test_cuda_graph():
    result = measure_graph(TINY, 2, GPU, repeats=3)
    assert result["difference"] < 2**-6


def test_backward_needs_no_memory():
    """Forward keeps what becomes the gradient; the losses of tokens aside, no more."""
    videos = random_videos((8, 3, 16, 128, 128)).to(GPU)
    idx = random_idx(8, 460, 512).to(GPU)
    pred = torch.randn(8, 460, 1536, device=GPU, dtype=torch.bfloat16)
    pred.requires_grad_()
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    value = masked_reconstruction_loss(pred, videos, idx)
    (grad,) = torch.autograd.grad(value, pred)
    extra = torch.cuda.max_memory_allocated() - before
    assert extra <= 1.02 * grad.numel() * grad.element_size()


def test_debug_mode(monkeypatch):
    monkeypatch.delenv("LIGHTLY_MARLIN_DEBUG", raising=False)
    tokens = torch.randn(1, 4, 8, device=GPU)
    outside = torch.tensor([[4]], device=GPU)
    assert gather_tokens(tokens, outside).isnan().all()
    monkeypatch.setenv("LIGHTLY_MARLIN_DEBUG", "1")
    with pytest.raises(ValueError, match=r"idx must be in \[0, 4\)"):
        gather_tokens(tokens, outside)


def test_opcheck():
    pred, videos, idx = _loss_inputs(torch.float32)
    arguments = (idx, 2, 16, True, "huber", "none")
    opcheck(masked_token_losses_op, (pred, videos, *arguments))
    sizes = (2, 16, torch.float32, "t h w c")
    clips = (videos / 255).requires_grad_()
    opcheck(gather_tubelets_op, (clips, idx, None, None, *sizes))
    tokens = torch.randn(2, 12, 8, device=GPU, requires_grad=True)
    pos = torch.randn(1, 12, 8, device=GPU, requires_grad=True)
    opcheck(gather_tokens_op, (tokens, idx, pos))
    mask_token = torch.randn(8, device=GPU, requires_grad=True)
    visible = tokens[:, :3].detach().requires_grad_()
    parts = (visible, mask_token, pos, idx[:, :3], idx[:, 3:])
    opcheck(assemble_decoder_tokens_op, parts)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one GPU is here")
def test_other_than_the_current_gpu():
    tokens, idx = torch.randn(2, 4, 8), random_idx(2, 2, 4)
    chosen = gather_tokens(tokens.to("cuda:1"), idx.to("cuda:1"))
    assert torch.equal(chosen.cpu(), gather_tokens(tokens, idx))
