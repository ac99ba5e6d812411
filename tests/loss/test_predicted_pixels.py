"""Pixels come back from every target that a loss compares."""

import pytest
import torch

from lightly_marlin.kernels import gather_tubelets, reference
from lightly_marlin.loss import denormalize_pixels, motion_to_pixels

SIZES = {"tubelet_size": 3, "patch_size": 4}
IDX = torch.tensor([[0, 3], [2, 1]])


def clips(dtype=torch.uint8):
    generator = torch.Generator().manual_seed(0)
    videos = torch.randint(256, (2, 3, 6, 4, 8), generator=generator)
    return videos.to(dtype) if dtype == torch.uint8 else videos.to(dtype) / 255


@pytest.mark.parametrize("norm_pix", [False, True])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_motion_to_pixels__inverts_the_target(norm_pix, dtype):
    videos = clips(dtype)
    pixels = gather_tubelets(videos, IDX, **SIZES)
    target = reference.normalize_pixels(pixels) if norm_pix else pixels
    pred = reference.motion_target(target, **SIZES)
    assert not torch.allclose(pred, pixels)
    actual = motion_to_pixels(pred, videos, IDX, norm_pix=norm_pix, **SIZES)
    torch.testing.assert_close(actual, pixels, rtol=1e-5, atol=1e-5)


def test_motion_to_pixels__known_value():
    """A first frame of 0.5 that becomes darker by 0.1 and then brighter by 0.2."""
    pred = torch.tensor([0.5, -0.1, 0.2]).repeat_interleave(16).repeat(2, 2, 3)
    pixels = motion_to_pixels(pred, clips(), IDX, **SIZES).view(2, 2, 3, 3, 16)
    expected = torch.tensor([0.5, 0.4, 0.7]).view(3, 1).expand(2, 2, 3, 3, 16)
    torch.testing.assert_close(pixels, expected)


def test_motion_to_pixels__gradient_of_the_first_frame_is_that_of_all():
    """A discriminator that reads pixels moves the first frame by each of them."""
    pred = torch.zeros(2, 2, 144, requires_grad=True)
    motion_to_pixels(pred, clips(), IDX, **SIZES).sum().backward()
    per_frame = pred.grad.view(2, 2, 3, 3, 16)
    assert (per_frame[..., 0, :] == 3).all()
    assert (per_frame[..., 1:, :] == 1).all()


def test_denormalize_pixels__mean_and_deviation_are_those_of_the_token():
    videos = clips()
    pred = torch.randn(2, 2, 144, generator=torch.Generator().manual_seed(1))
    pixels = gather_tubelets(videos, IDX, **SIZES)
    std = (pixels.var(dim=-1, keepdim=True) + 1e-6).sqrt()
    expected = pred * std + pixels.mean(dim=-1, keepdim=True)
    torch.testing.assert_close(denormalize_pixels(pred, videos, IDX, **SIZES), expected)


def test_denormalize_pixels__half_precision_and_one_colour():
    """Rounded once; a token of one colour is that colour, whatever is predicted."""
    videos = torch.full((2, 3, 6, 4, 8), 51, dtype=torch.uint8)
    pred = torch.ones(2, 2, 144, dtype=torch.bfloat16)
    actual = denormalize_pixels(pred, videos, IDX, **SIZES)
    assert actual.dtype == torch.bfloat16
    assert (actual.float() - 0.2).abs().max() < 2e-3


@pytest.mark.parametrize("function", [motion_to_pixels, denormalize_pixels])
def test_shape_of_the_prediction(function):
    with pytest.raises(ValueError, match=r"144\), .*, got shape \(2, 2, 48\)"):
        function(torch.zeros(2, 2, 48), clips(), IDX, **SIZES)


@pytest.mark.parametrize("function", [motion_to_pixels, denormalize_pixels])
def test_dtype_of_the_prediction(function):
    with pytest.raises(ValueError, match="pred must be a floating-point tensor"):
        function(torch.zeros(2, 2, 144, dtype=torch.int64), clips(), IDX, **SIZES)


@pytest.mark.parametrize("function", [motion_to_pixels, denormalize_pixels])
def test_index_out_of_range(function):
    with pytest.raises(ValueError, match="idx_mask"):
        function(torch.zeros(2, 2, 144), clips(), IDX + 1000, **SIZES)


def test_motion_to_pixels__tokens_of_one_frame():
    with pytest.raises(ValueError, match="a token of one frame holds no motion"):
        motion_to_pixels(torch.zeros(2, 2, 48), clips(), IDX, tubelet_size=1)
