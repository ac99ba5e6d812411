"""Tensors past 2**31 elements, and indices that lie outside.

The memory between the rows that are read is never touched, so it costs nothing.
"""

import pytest
import torch
from naive_kernels import random_videos

from lightly_marlin.kernels import (
    assemble_decoder_tokens,
    checks,
    gather_tokens,
    gather_tubelets,
    masked_reconstruction_loss,
)
from lightly_marlin.kernels.triton_language import KERNEL_DEVICES

FAR = 2**31 + 64


@pytest.fixture
def far_apart(device):
    """Returns a function that puts the rows of a small tensor 2**31 elements apart."""

    def move(small, dim):
        strides = list(small.contiguous().stride())
        size = small.shape[dim]
        strides[dim] = FAR
        room = (size - 1) * FAR + small.numel()
        try:
            memory = torch.empty(room, dtype=small.dtype, device=device)
        except torch.OutOfMemoryError:
            pytest.skip("the GPU is too small for a tensor past 2**31 elements")
        far = memory.as_strided(small.shape, strides)
        return far.copy_(small)

    return move


IDX = torch.tensor([[1, 0], [0, 1]])


@pytest.mark.parametrize("dim", [0, 1, 2, 3])
def test_gather_tubelets(dim, far_apart, device):
    """Clips, channels, frames or rows of pixels that are far apart."""
    small = (
        random_videos((2, 2, 2, 4, 2))[:, :, :, :2]
        if dim == 3
        else random_videos((2, 2, 2, 2, 4))
    )
    small = small.contiguous()
    videos, idx = far_apart(small, dim), IDX.to(device) % (small.shape[4] // 2)
    sizes = {"tubelet_size": 2, "patch_size": 2}
    expected = gather_tubelets(small.to(device), idx, **sizes)
    assert torch.equal(gather_tubelets(videos, idx, **sizes), expected)


def test_loss(far_apart, device):
    small = random_videos((2, 3, 2, 2, 4))
    pred = torch.randn(2, 2, 24, device=device)
    videos, idx = far_apart(small, 0), IDX.to(device)
    sizes = {"tubelet_size": 2, "patch_size": 2}
    value = masked_reconstruction_loss(pred, videos, idx, **sizes)
    expected = masked_reconstruction_loss(pred, small.to(device), idx, **sizes)
    assert torch.equal(value, expected)
    far_pred = far_apart(pred.half().cpu(), 0)
    value = masked_reconstruction_loss(far_pred, videos, idx, **sizes)
    torch.testing.assert_close(value, expected, rtol=1e-2, atol=0)


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_tokens(dim, far_apart, device):
    """Clips, tokens or channels that are far apart, in the tokens and the table."""
    tokens, idx = torch.randn(2, 2, 2).half(), IDX.to(device)
    far = far_apart(tokens, dim)
    pos = far if dim else tokens.to(device)
    expected = gather_tokens(tokens.to(device), idx, tokens[0].to(device))
    assert torch.equal(gather_tokens(far, idx, pos[0]), expected)
    mask_token = far[0, 0] if dim == 2 else tokens[0, 0].to(device)
    joined = assemble_decoder_tokens(far, mask_token, pos[0], idx, idx)
    small = tokens.to(device)
    expected = assemble_decoder_tokens(small, small[0, 0], small[0], idx, idx)
    assert torch.equal(joined, expected)


def test_far_indices(far_apart, device):
    idx = far_apart(IDX, 0)
    tokens = torch.randn(2, 2, 4, device=device, requires_grad=True)
    chosen = gather_tokens(tokens, idx)
    assert torch.equal(chosen, gather_tokens(tokens, IDX.to(device)))
    chosen.sum().backward()
    assert torch.equal(tokens.grad, torch.ones_like(tokens))


kernels_alone = pytest.mark.skipif(
    not torch.cuda.is_available() and "cpu" not in KERNEL_DEVICES,
    reason="the plain versions raise instead",
)


@kernels_alone
@pytest.mark.parametrize("outside", [-1, 2, 2**40])
def test_unchecked_indices_outside_give_nan(outside, device, monkeypatch):
    """Without the check of values, which makes the host wait: no wild access."""
    monkeypatch.setattr(checks, "_values_are_free_to_read", lambda tensor: False)
    idx = torch.tensor([[0, outside]], device=device)
    tokens = torch.ones(1, 2, 3, device=device, requires_grad=True)
    chosen = gather_tokens(tokens, idx)
    assert chosen.isnan().any(dim=-1).tolist() == [[False, True]]
    chosen.sum().backward()
    assert tokens.grad[0].tolist() == [[1.0] * 3, [0.0] * 3]
    videos = random_videos((1, 1, 1, 2, 4)).to(device)
    sizes = {"tubelet_size": 1, "patch_size": 2}
    pixels = gather_tubelets(videos, idx, **sizes)
    assert pixels.isnan().any(dim=-1).tolist() == [[False, True]]
    pred = torch.zeros(1, 2, 4, device=device)
    assert masked_reconstruction_loss(pred, videos, idx, **sizes).isnan()
