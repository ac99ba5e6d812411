import doctest
import math

import pytest
import torch
from torch.nn.functional import logsigmoid

from lightly_marlin.lip_sync import CriticLoss, ImageCritic
from lightly_marlin.lip_sync.losses import critic_loss

LOSS = CriticLoss()


def test_example_runs():
    names = {"torch": torch, "ImageCritic": ImageCritic}
    failures, tried = doctest.testmod(critic_loss, extraglobs=names, report=True)
    assert (failures, tried) == (0, 3)


def test_losses__known_values():
    real, fake = torch.tensor([2.0, -1.0]), torch.tensor([[0.5]])
    wanted = -(logsigmoid(real).mean() + logsigmoid(-fake).mean()) / 2
    torch.testing.assert_close(LOSS.discriminator_loss(real, fake), wanted)
    torch.testing.assert_close(LOSS.generator_loss(fake), -logsigmoid(fake).mean())
    chance = LOSS.discriminator_loss(torch.zeros(3), torch.zeros(2))
    assert chance.item() == pytest.approx(math.log(2))


def test_losses__are_float32_at_least():
    assert LOSS.generator_loss(torch.zeros(2, dtype=torch.bfloat16)).dtype == (
        torch.float32
    )
    assert LOSS.generator_loss(torch.zeros(2).double()).dtype == torch.float64


def test_losses__refuse_what_is_empty():
    with pytest.raises(ValueError, match="fake_logits must not be empty"):
        LOSS.generator_loss(torch.empty(0))
    with pytest.raises(ValueError, match="real_logits"):
        LOSS.discriminator_loss(torch.ones(2, dtype=torch.long), torch.ones(2))
