import torch

from lightly_marlin.training.objectives.reporting import (
    logged_losses,
    loss_column,
    loss_columns,
)

MARLIN = ("loss/reconstruction", "loss/generator_adversarial", "loss/discriminator")


def test_loss_columns__marlins_own_then_the_others():
    assert loss_columns(["pixels", "adversarial"]) == MARLIN
    others = ("loss/motion", "loss/first_frame", "loss/difference", "loss/latent")
    assert loss_columns(["motion", "latent"]) == (*MARLIN, *others)
    assert loss_columns(["contrast"]) == (*MARLIN, "loss/contrast")


def test_loss_column__only_pixels_are_the_reconstruction():
    assert loss_column("pixels") == "loss/reconstruction"
    assert loss_column("norm_pixels") == "loss/norm_pixels"
    assert loss_column("adversarial") == "loss/generator_adversarial"


def test_logged_losses__what_is_not_trained_is_0():
    losses = {"norm_pixels": torch.tensor(2.0), "latent": torch.tensor(3.0)}
    assert logged_losses(losses) == {
        "loss/reconstruction": 0.0,
        "loss/generator_adversarial": 0.0,
        "loss/discriminator": 0.0,
        "loss/norm_pixels": 2.0,
        "loss/latent": 3.0,
    }
    assert set(logged_losses(losses)) == set(loss_columns(losses))
