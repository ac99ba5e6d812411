"""Target and gradient against the reference and autograd through it, in float64."""

import pytest
import torch
from naive_kernels import random_idx, random_videos

from lightly_marlin.kernels import reference
from lightly_marlin.kernels.target_pixels import target_pixels, target_pixels_backward

SIZES = (3, 4)


def _reference_target(videos, idx, norm_pix, target):
    pixels = reference.gather_tubelets(
        videos, idx, tubelet_size=SIZES[0], patch_size=SIZES[1]
    )
    pixels = reference.normalize_pixels(pixels) if norm_pix else pixels
    return reference.motion_target(pixels, *SIZES) if target == "motion" else pixels


@pytest.mark.parametrize("norm_pix", [False, True])
@pytest.mark.parametrize("target", ["pixels", "motion"])
def test_target_and_gradient(norm_pix, target):
    videos = random_videos((2, 3, 6, 8, 8), torch.float64).requires_grad_()
    idx = random_idx(2, 5, 8)
    options = {"norm_pix": norm_pix, "target": target}
    expected = _reference_target(videos, idx, **options)
    clips = videos.detach()
    before = clips.clone()
    actual = target_pixels(clips, idx, *SIZES, dtype=torch.float64, **options)
    torch.testing.assert_close(actual, expected.detach())
    assert torch.equal(clips, before)
    assert actual.is_contiguous()

    upstream = torch.randn_like(expected)
    (grad_videos,) = torch.autograd.grad(expected, videos, upstream)
    grad = target_pixels_backward(upstream.clone(), clips, idx, *SIZES, **options)
    plain = clips.clone().requires_grad_()
    pixels = _reference_target(plain, idx, norm_pix=False, target="pixels")
    torch.testing.assert_close(torch.autograd.grad(pixels, plain, grad)[0], grad_videos)
