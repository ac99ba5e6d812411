import torch

from lightly_marlin.training.objectives.reporting import logged_losses, loss_columns

MARLIN = ("loss/reconstruction", "loss/generator_adversarial", "loss/discriminator")


def test_loss_columns__marlins_own_then_the_others():
    assert loss_columns(["pixels", "adversarial"]) == MARLIN
    assert loss_columns(["motion", "latent"]) == (*MARLIN, "loss/latent")
    assert loss_columns(["contrast"]) == (*MARLIN, "loss/contrast")


def test_logged_losses__what_is_not_trained_is_0():
    losses = {"norm_pixels": torch.tensor(2.0), "latent": torch.tensor(3.0)}
    assert logged_losses(losses) == {
        "loss/reconstruction": 2.0,
        "loss/generator_adversarial": 0.0,
        "loss/discriminator": 0.0,
        "loss/latent": 3.0,
    }
    assert set(logged_losses(losses)) == set(loss_columns(losses))
