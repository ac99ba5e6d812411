import pytest
import torch

from lightly_marlin.models import MarlinDiscriminator


def test_scores_every_tubelet_by_itself():
    torch.manual_seed(0)
    discriminator = MarlinDiscriminator(6, 8)
    patches = torch.rand(2, 3, 6)
    scores = discriminator(patches)
    assert scores.shape == (2, 3, 1)
    torch.testing.assert_close(discriminator(patches[1, 2]), scores[1, 2])


def test_known_values():
    # One hidden unit: 2 where the sum is positive, a hundredth of it where negative.
    discriminator = MarlinDiscriminator(2, 1)
    with torch.no_grad():
        discriminator.fc1.weight.fill_(1)
        discriminator.fc2.weight.fill_(2)
        discriminator.fc2.bias.fill_(5)
    scores = discriminator(torch.tensor([[1.0, 2.0], [-1.0, -2.0]]))
    torch.testing.assert_close(scores, torch.tensor([[11.0], [4.94]]))


def test_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match=r"shape of patches \(4, 5\).*\(\.\.\., 6\)"):
        MarlinDiscriminator(6, 8)(torch.rand(4, 5))
    with pytest.raises(ValueError, match=r"hidden_dim \(0\)"):
        MarlinDiscriminator(6, 0)
