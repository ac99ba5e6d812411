"""`torch.compile(fullgraph=True)` of the public functions, checks included."""

import pytest
import torch
from naive_kernels import random_videos, strided_copies

from lightly_marlin.kernels import (
    assemble_decoder_tokens,
    gather_tokens,
    gather_tubelets,
    masked_reconstruction_loss,
)


def _masked_autoencoder(videos, weight, mask_token, pos_embed, idx_keep, idx_mask):
    """All four functions in the order a model calls them."""
    pixels = gather_tubelets(videos, idx_keep, patch_size=8, mean=[0.5, 0.4, 0.3])
    tokens = pixels @ weight
    tokens = assemble_decoder_tokens(tokens, mask_token, pos_embed, idx_keep, idx_mask)
    order = torch.cat([idx_keep, idx_mask], dim=1).argsort(dim=1)
    tokens = gather_tokens(gather_tokens(tokens, order), idx_mask, pos_embed)
    pred = tokens @ weight.T
    weights = torch.ones_like(idx_mask, dtype=torch.float32)
    return masked_reconstruction_loss(
        pred, videos, idx_mask, patch_size=8, norm_pix=True, weights=weights
    )


def _arguments(batch_size=2):
    torch.manual_seed(0)
    shapes = ((384, 4), (1, 1, 4), (1, 12, 4))
    learned = [torch.randn(shape).mul_(0.1).requires_grad_() for shape in shapes]
    order = torch.stack([torch.randperm(12) for _ in range(batch_size)])
    videos = random_videos((batch_size, 3, 4, 16, 24))
    return videos, *learned, order[:, :3].sort()[0], order[:, 3:].sort()[0]


def _results(function, arguments):
    value = function(*arguments)
    return value.detach(), *torch.autograd.grad(value, arguments[1:4])


@pytest.mark.parametrize("strided", [False, True])
def test_aot_eager(strided):
    videos, *others = _arguments()
    if strided:
        videos = strided_copies(videos)["time_first_channels_last"]
    compiled = torch.compile(_masked_autoencoder, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(
        _results(compiled, (videos, *others)),
        _results(_masked_autoencoder, (videos, *others)),
    )


def test_dynamic_shapes():
    compiled = torch.compile(
        _masked_autoencoder, fullgraph=True, backend="aot_eager", dynamic=True
    )
    for batch_size in (2, 3):
        arguments = _arguments(batch_size)
        torch.testing.assert_close(
            _results(compiled, arguments), _results(_masked_autoencoder, arguments)
        )


@pytest.mark.slow
def test_inductor():
    compiled = torch.compile(_masked_autoencoder, fullgraph=True)
    arguments = _arguments()
    torch.testing.assert_close(
        _results(compiled, arguments), _results(_masked_autoencoder, arguments)
    )
