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
