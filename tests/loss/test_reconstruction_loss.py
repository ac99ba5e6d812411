import doctest

import pytest
import torch
from torch import nn

from lightly_marlin.kernels import reference
from lightly_marlin.loss import MarlinReconstructionLoss, reconstruction_loss


def test_example_runs():
    failures, tried = doctest.testmod(
        reconstruction_loss, extraglobs={"torch": torch}, report=True
    )
    assert tried == 5
    assert failures == 0


def test_known_value():
    """Predicting black for white is wrong by one everywhere."""
    videos = torch.full((1, 3, 2, 16, 32), 255, dtype=torch.uint8)
    pred, idx_mask = torch.zeros(1, 1, 1536), torch.tensor([[1]])
    for loss, expected in {"mse": 1.0, "l1": 1.0, "huber": 0.5}.items():
        value = MarlinReconstructionLoss(loss=loss)(pred, videos, idx_mask)
        torch.testing.assert_close(value, torch.tensor(expected))
    assert MarlinReconstructionLoss(norm_pix=True)(pred, videos, idx_mask) < 1e-6


@pytest.mark.parametrize("norm_pix", [False, True])
@pytest.mark.parametrize("loss", ["mse", "l1", "huber"])
def test_options_reach_the_kernel(norm_pix, loss):
    torch.manual_seed(0)
    videos, idx_mask = torch.rand(2, 3, 3, 8, 16), torch.tensor([[0, 5], [2, 3]])
    pred, weights = torch.randn(2, 2, 192), torch.rand(2, 2)
    options = {"norm_pix": norm_pix, "loss": loss, "tubelet_size": 1, "patch_size": 8}
    torch.testing.assert_close(
        MarlinReconstructionLoss(**options)(pred, videos, idx_mask, weights),
        reference.masked_reconstruction_loss(
            pred, videos, idx_mask, weights=weights, **options
        ),
    )


def test_images_are_clips_of_one_frame():
    """An image autoencoder of any library can use it."""
    images, idx_mask = torch.rand(2, 3, 32, 32), torch.tensor([[0], [3]])
    decoder = nn.Linear(4, 768)
    pred = decoder(torch.randn(2, 1, 4))
    criterion = MarlinReconstructionLoss(norm_pix=True, tubelet_size=1)
    criterion(pred, images.unsqueeze(2), idx_mask).backward()
    assert decoder.weight.grad.abs().sum() > 0


def test_unknown_loss():
    with pytest.raises(ValueError, match=r"Invalid loss \('l2'\). Supported values"):
        MarlinReconstructionLoss(loss="l2")


def motion_inputs():
    torch.manual_seed(0)
    videos = torch.randint(256, (2, 3, 4, 8, 16), dtype=torch.uint8)
    pred, idx_mask = torch.randn(2, 2, 384), torch.tensor([[0, 3], [2, 1]])
    return pred, videos, idx_mask, torch.rand(2, 2)


@pytest.mark.parametrize("norm_pix", [False, True])
@pytest.mark.parametrize("loss", ["mse", "l1", "huber"])
def test_motion__options_reach_the_kernel(norm_pix, loss):
    pred, videos, idx_mask, weights = motion_inputs()
    options = {"norm_pix": norm_pix, "loss": loss, "patch_size": 8}
    criterion = MarlinReconstructionLoss(**options, target="motion", motion_weight=0.3)
    first, motion = reference.masked_motion_losses(
        pred, videos, idx_mask, weights=weights, **options
    )
    parts = criterion.parts(pred, videos, idx_mask, weights)
    torch.testing.assert_close(parts.first_frame, first)
    torch.testing.assert_close(parts.motion, motion)
    value = criterion(pred, videos, idx_mask, weights)
    torch.testing.assert_close(value, 0.7 * first + 0.3 * motion)
    assert torch.equal(criterion.total(parts), value)


def test_motion__total_of_the_parts_has_the_gradient_of_the_loss():
    pred, videos, idx_mask, _ = motion_inputs()
    criterion = MarlinReconstructionLoss(patch_size=8, target="motion")
    grads = []
    for whole in (True, False):
        leaf = pred.clone().requires_grad_()
        inputs = (leaf, videos, idx_mask)
        value = (
            criterion(*inputs) if whole else criterion.total(criterion.parts(*inputs))
        )
        grads.append(torch.autograd.grad(value, leaf)[0])
    assert torch.equal(*grads)


@pytest.mark.parametrize("target", ["pixels", "motion"])
@pytest.mark.parametrize("norm_pix", [False, True])
def test_to_pixels__of_a_perfect_prediction(target, norm_pix):
    """Where the loss is 0, the pixels are the clip's."""
    _, videos, idx_mask, _ = motion_inputs()
    options = {"norm_pix": norm_pix, "target": target, "patch_size": 8}
    criterion = MarlinReconstructionLoss(**options)
    pixels = reference.gather_tubelets(videos, idx_mask, patch_size=8)
    pred = reference.normalize_pixels(pixels) if norm_pix else pixels
    pred = reference.motion_target(pred, 2, 8) if target == "motion" else pred
    assert criterion(pred, videos, idx_mask) < 1e-10
    actual = criterion.to_pixels(pred, videos, idx_mask)
    torch.testing.assert_close(actual, pixels, rtol=1e-5, atol=1e-5)
    assert (actual is pred) == (target == "pixels" and not norm_pix)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "flow"}, r"Invalid target \('flow'\). Supported values"),
        ({"target": "motion", "tubelet_size": 1}, "one frame holds no motion, got 1"),
        ({"target": "motion", "motion_weight": -0.1}, r"in \[0, 1\], got -0\.1"),
    ],
)
def test_motion__bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        MarlinReconstructionLoss(**options)


def test_parts__of_pixels_there_are_none():
    pred, videos, idx_mask, _ = motion_inputs()
    with pytest.raises(ValueError, match=r"Invalid target \('pixels'\): only a loss"):
        MarlinReconstructionLoss(patch_size=8).parts(pred, videos, idx_mask)
