"""The motion target: the first frame of a token, and the differences to it."""

import pytest
import torch
from naive_kernels import naive_motion_losses, random_idx, random_videos, strided_copies
from torch.autograd import gradcheck

from lightly_marlin.kernels import (
    gather_tubelets,
    masked_motion_losses,
    masked_reconstruction_loss,
    reference,
)
from lightly_marlin.kernels.masked_reconstruction_loss import LOSSES
from lightly_marlin.kernels.masked_token_losses import (
    DERIVATIVES,
    masked_token_losses_op,
)
from lightly_marlin.kernels.triton_language import KERNEL_DEVICES

PARTS = (masked_motion_losses, reference.masked_motion_losses)
WHOLES = (masked_reconstruction_loss, reference.masked_reconstruction_loss)
WEIGHTS = torch.tensor([[0.0, 1.0, 2.0, 0.5], [1.0, 0.0, 0.0, 3.0]])


def _inputs(tubelet_size=2, video_dtype=torch.uint8, dtype=torch.float32):
    """Predictions wide enough for both branches of Huber's loss, 4 tokens of each."""
    torch.manual_seed(0)
    sizes = {"tubelet_size": tubelet_size, "patch_size": 4}
    videos = random_videos((2, 3, 2 * tubelet_size, 8, 12), video_dtype)
    pred = 2 * torch.randn(2, 4, 3 * tubelet_size * 16)
    return pred.to(dtype), videos, random_idx(2, 4, 12), sizes


def test_known_value():
    """A clip that brightens by 51 of 255, predicted black and still."""
    videos = torch.full((1, 3, 2, 4, 4), 102, dtype=torch.uint8)
    videos[:, :, 1] += 51
    pred, idx = torch.zeros(1, 1, 96), torch.zeros(1, 1, dtype=torch.int64)
    first_frame, motion = masked_motion_losses(pred, videos, idx, patch_size=4)
    torch.testing.assert_close(first_frame, torch.tensor(0.4**2))
    torch.testing.assert_close(motion, torch.tensor(0.2**2))
    for weight in (0.0, 0.25, 1.0):
        value = masked_reconstruction_loss(
            pred, videos, idx, patch_size=4, target="motion", motion_weight=weight
        )
        expected = torch.tensor((1 - weight) * 0.16 + weight * 0.04)
        torch.testing.assert_close(value, expected)


@pytest.mark.parametrize("function", PARTS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("norm_pix", [False, True])
@pytest.mark.parametrize("tubelet_size", [2, 3])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_equals_naive(function, loss, norm_pix, tubelet_size, weights):
    pred, videos, idx, sizes = _inputs(tubelet_size)
    options = {"norm_pix": norm_pix, "loss": loss, "weights": weights}
    parts = function(pred, videos, idx, **sizes, **options)
    expected = naive_motion_losses(
        pred, videos, idx, (tubelet_size, 4), norm_pix, loss, weights
    )
    assert all(part.dtype == torch.float32 and part.shape == () for part in parts)
    actual = [part.item() for part in parts]
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("function", WHOLES)
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_half_is_the_plain_mean_for_two_frames(function, weights):
    """As MAE-DFER trains: the mean over the whole vector of a token."""
    pred, videos, idx, sizes = _inputs()
    pixels = gather_tubelets(videos, idx, **sizes)
    target = reference.motion_target(pixels, **sizes)
    token_losses = (pred - target).square().mean(dim=-1)
    options = {"target": "motion", "weights": weights, **sizes}
    value = function(pred, videos, idx, **options)
    expected = reference.weighted_mean(token_losses, weights)
    torch.testing.assert_close(value, expected)


def test_normalised_differences_are_divided_by_the_deviation():
    """No mean remains in them: (x_1 - x_0) / std, over all channels of a token."""
    _, videos, idx, sizes = _inputs()
    pixels = gather_tubelets(videos, idx, **sizes)
    std = (pixels.var(dim=-1, keepdim=True) + 1e-6).sqrt()
    first, second = pixels.view(2, 4, 3, 2, 16).unbind(3)
    centred = first - pixels.mean(dim=-1).view(2, 4, 1, 1)
    pred = torch.stack([centred, second - first], dim=3).flatten(2) / std
    options = {"norm_pix": True, **sizes}
    for part in masked_motion_losses(pred, videos, idx, **options):
        assert part < 1e-10


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("norm_pix", [False, True])
@pytest.mark.parametrize("tubelet_size", [2, 3])
def test_gradcheck(loss, norm_pix, tubelet_size):
    """Predictions, clips and weights; a repeated token adds up in the clip."""
    torch.manual_seed(0)
    frames = 2 * tubelet_size
    videos = torch.rand(2, 2, frames, 2, 2, dtype=torch.float64, requires_grad=True)
    pred = torch.randn(2, 3, 8 * tubelet_size, dtype=torch.float64) * 3
    weights = torch.rand(2, 3, dtype=torch.float64, requires_grad=True)
    idx_mask = torch.tensor([[0, 1, 1], [1, 1, 0]])
    options = {"loss": loss, "norm_pix": norm_pix, "patch_size": 2}
    options |= {"tubelet_size": tubelet_size, "target": "motion", "motion_weight": 0.3}
    assert gradcheck(
        lambda p, v, w: masked_reconstruction_loss(
            p, v, idx_mask, weights=w, **options
        ),
        (pred.requires_grad_(), videos, weights),
    )


@pytest.mark.parametrize("part", [0, 1])
def test_parts_have_gradients_of_their_own(part):
    """Each moves the predictions of its frames alone, and together they are the sum."""
    pred, videos, idx, sizes = _inputs(3)
    pred.requires_grad_()
    parts = masked_motion_losses(pred, videos, idx, **sizes)
    (grad,) = torch.autograd.grad(parts[part], pred)
    frames = grad.view(2, 4, 3, 3, 16).abs().sum(dim=(0, 1, 2, 4))
    assert (frames > 0).tolist() == ([True, False, False], [False, True, True])[part]


def test_autocast_changes_nothing():
    pred, videos, idx, sizes = _inputs(dtype=torch.bfloat16)
    options = {"target": "motion", "norm_pix": True, **sizes}
    plain = masked_reconstruction_loss(pred, videos, idx, **options)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = masked_reconstruction_loss(pred, videos, idx, **options)
    assert value.dtype == torch.float32
    assert torch.equal(value, plain)


@pytest.mark.parametrize("name", strided_copies(torch.zeros(2, 3, 4, 8, 12)))
def test_any_strides(name):
    pred, videos, idx, sizes = _inputs()
    videos = strided_copies(videos)[name]
    pred = pred.mT.contiguous().mT.requires_grad_()
    dense = pred.detach().contiguous().requires_grad_()
    options = {"target": "motion", "motion_weight": 0.7, **sizes}
    value = masked_reconstruction_loss(pred, videos, idx, **options)
    expected = masked_reconstruction_loss(dense, videos.contiguous(), idx, **options)
    (value + expected).backward()
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(pred.grad, dense.grad)


@pytest.mark.parametrize("derivative", DERIVATIVES)
@pytest.mark.parametrize("norm_pix", [False, True])
def test_opcheck(derivative, norm_pix):
    pred, videos, idx, _ = _inputs(video_dtype=torch.float32)
    pred.requires_grad_(derivative != "none")
    utils = ["test_schema", "test_autograd_registration", "test_faketensor"]
    if derivative == "none" or "cpu" not in KERNEL_DEVICES:
        utils.append("test_aot_dispatch_dynamic")
    arguments = (pred, videos, idx, 2, 4, norm_pix, "mse", derivative, "motion")
    torch.library.opcheck(masked_token_losses_op, arguments, test_utils=utils)


def test_compile():
    pred, videos, idx, sizes = _inputs()
    options = {"target": "motion", "norm_pix": True, "motion_weight": 0.2, **sizes}
    compiled = torch.compile(
        masked_reconstruction_loss, fullgraph=True, backend="aot_eager"
    )
    results = []
    for function in (compiled, masked_reconstruction_loss):
        leaf = pred.clone().requires_grad_()
        value = function(leaf, videos, idx, **options)
        results.append((value.detach(), *torch.autograd.grad(value, leaf)))
    torch.testing.assert_close(*results)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"target": "flow"},
            r"Invalid target \('flow'\). Supported .* 'pixels', 'moti",
        ),
        ({"tubelet_size": 1}, "tubelet_size must be at least 2 .* no motion, got 1"),
        ({"motion_weight": 1.5}, r"motion_weight must be in \[0, 1\], got 1\.5"),
        ({"motion_weight": float("nan")}, "motion_weight must be .* got nan"),
    ],
)
def test_bad_arguments(options, message):
    arguments = {"target": "motion", "patch_size": 4, **options}
    videos = torch.zeros(1, 3, 2, 4, 4)
    idx = torch.zeros(1, 1, dtype=torch.int64)
    with pytest.raises(ValueError, match=message):
        masked_reconstruction_loss(torch.zeros(1, 1, 96), videos, idx, **arguments)


def test_parts_of_single_frames_are_refused():
    idx = torch.zeros(1, 1, dtype=torch.int64)
    with pytest.raises(ValueError, match="a token of one frame holds no motion"):
        masked_motion_losses(
            torch.zeros(1, 1, 768), torch.zeros(1, 3, 1, 16, 16), idx, tubelet_size=1
        )
