import torch

from lightly_marlin.transforms import random_tubelet_mask


def test_random_tubelet_mask__uniform():
    kept, _ = random_tubelet_mask(
        (4000, (2, 3, 3)), 0.5, generator=torch.Generator().manual_seed(0)
    )
    frequency = torch.bincount(kept.flatten(), minlength=18) / 4000
    assert (frequency - 0.5).abs().max() < 0.04
