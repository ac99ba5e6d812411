"""Histograms of gradients: against a naive transcription, scikit-image and by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from lightly_marlin.loss import gradient_histograms, histogram_dim


def naive(video, tubelet, patch, cells, bins):
    """Histograms (N, H) of a clip (3, T, H, W), pixel by pixel."""
    luma = np.einsum("cthw,c->thw", video, [0.299, 0.587, 0.114])
    luma = luma.reshape(-1, tubelet, *luma.shape[1:]).mean(axis=1)
    T, H, W = luma.shape
    cell = patch // cells
    sums = np.zeros((T, H // cell, W // cell, bins))
    for t, y, x in np.ndindex(T, H, W):
        dx = luma[t, y, min(x + 1, W - 1)] - luma[t, y, max(x - 1, 0)]
        dy = luma[t, min(y + 1, H - 1), x] - luma[t, max(y - 1, 0), x]
        angle = math.atan2(dy, dx) % (2 * math.pi)
        index = int(angle / (2 * math.pi) * bins) % bins
        sums[t, y // cell, x // cell, index] += math.hypot(dx, dy)
    means = sums / cell**2
    means /= np.sqrt((means**2).sum(-1, keepdims=True) + 0.02**2)
    tokens = []
    for t, y, x in np.ndindex(T, H // patch, W // patch):
        block = means[t, y * cells : (y + 1) * cells, x * cells : (x + 1) * cells]
        tokens.append(block.reshape(-1))
    return np.stack(tokens)


@given(
    seed=st.integers(0, 2**16),
    tubelet=st.sampled_from([1, 2]),
    cells=st.sampled_from([1, 2, 4]),
    bins=st.integers(1, 9),
)
def test_gradient_histograms__equal_a_naive_transcription(seed, tubelet, cells, bins):
    rng = np.random.default_rng(seed)
    video = rng.random((3, 2, 8, 16)).astype(np.float32)
    got = gradient_histograms(
        torch.from_numpy(video)[None], tubelet, patch_size=4 * 2, cells=cells, bins=bins
    )
    assert got.shape == (1, 2 // tubelet * 2, histogram_dim(cells, bins))
    expected = naive(video.astype(np.float64), tubelet, 8, cells, bins)
    np.testing.assert_allclose(got[0], expected, atol=2e-5)


def test_gradient_histograms__equal_scikit_image_inside_the_frame():
    # Its gradient at the border of the frame is 0, so outer cells differ.
    hog = pytest.importorskip("skimage.feature").hog
    frame = torch.rand(48, 48, generator=torch.Generator().manual_seed(0))
    video = frame.expand(1, 3, 1, 48, 48)
    got = gradient_histograms(video, tubelet_size=1).view(3, 3, 2, 2, 18)
    got = got.permute(0, 2, 1, 3, 4).reshape(6, 6, 2, 9).sum(dim=2)
    # Modulo 180 degrees, and of length 1 again.
    got = F.normalize(got, dim=-1)
    expected = hog(
        frame.numpy().astype(np.float64),
        orientations=9,
        pixels_per_cell=(8, 8),
        cells_per_block=(1, 1),
        block_norm="L2",
        feature_vector=False,
    )[:, :, 0, 0]
    np.testing.assert_allclose(got[1:-1, 1:-1], expected[1:-1, 1:-1], atol=1e-4)


@pytest.mark.parametrize(("rotation", "bin_index"), [(0, 0), (1, 13), (2, 9), (3, 4)])
def test_gradient_histograms__of_a_ramp(rotation, bin_index):
    # Brighter to the right, and turned counterclockwise: up, left, down.
    ramp = torch.linspace(0, 1, 32).expand(32, 32)
    frame = torch.rot90(ramp, rotation)
    got = gradient_histograms(frame.expand(1, 3, 2, 32, 32)).view(16, 18)
    expected = torch.zeros(18)
    expected[bin_index] = 1
    torch.testing.assert_close(got, expected.expand(16, 18), atol=0.1, rtol=0)


def test_gradient_histograms__forget_light_and_contrast():
    generator = torch.Generator().manual_seed(1)
    video = torch.rand(1, 3, 2, 32, 32, generator=generator)
    plain = gradient_histograms(video)
    torch.testing.assert_close(
        gradient_histograms(video * 0.7 + 0.2), plain, atol=0.05, rtol=0
    )
    # Of a negative, directions are the opposite ones.
    turned = gradient_histograms(1 - video).unflatten(-1, (4, 2, 9)).flip(3)
    torch.testing.assert_close(turned.flatten(2), plain)


def test_gradient_histograms__of_flat_cells_are_near_zero():
    video = torch.full((1, 3, 2, 32, 32), 100, dtype=torch.uint8)
    assert not gradient_histograms(video).any()
    # A level of 256 here and there is no edge.
    video[..., ::2, ::2] += torch.tensor(1, dtype=torch.uint8)
    assert gradient_histograms(video).max() < 0.1


def test_gradient_histograms__of_bytes_equal_those_of_floats_and_have_no_graph():
    generator = torch.Generator().manual_seed(2)
    video = torch.randint(
        0, 256, (2, 3, 4, 32, 32), generator=generator, dtype=torch.uint8
    )
    floats = (video / 255).requires_grad_()
    got = gradient_histograms(floats)
    assert got.dtype == torch.float32
    assert not got.requires_grad
    torch.testing.assert_close(gradient_histograms(video), got, atol=1e-4, rtol=0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(gradient_histograms(floats), got)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((1, 1, 2, 16, 16), {}, r"Supported is \(B, 3, T, H, W\)"),
        ((3, 2, 16, 16), {}, r"Supported is \(B, 3, T, H, W\)"),
        ((1, 3, 3, 16, 16), {}, "T must be a multiple of 2"),
        ((1, 3, 2, 24, 16), {}, "H and W of 16"),
        ((1, 3, 2, 16, 16), {"cells": 3}, "must divide patch_size 16"),
        ((1, 3, 2, 16, 16), {"cells": 0}, "at least 1"),
        ((1, 3, 2, 16, 16), {"bins": 0}, "at least 1"),
        ((1, 3, 2, 16, 16), {"tubelet_size": 0}, "at least 1"),
        ((1, 3, 2, 16, 16), {"patch_size": 0}, "at least 1"),
    ],
)
def test_gradient_histograms__invalid_input(shape, options, message):
    with pytest.raises(ValueError, match=message):
        gradient_histograms(torch.zeros(shape), **options)
