import doctest

import pytest
import torch

from lightly_marlin.lip_sync import ImageCritic, mask_lower_half
from lightly_marlin.lip_sync.networks import image_critic


def test_example_runs():
    names = {"torch": torch, "ImageCritic": ImageCritic}
    failures, tried = doctest.testmod(image_critic, extraglobs=names, report=True)
    assert (failures, tried) == (0, 1)


def test_critic__looks_at_lower_halves_frame_by_frame():
    critic = ImageCritic(width=1).eval()
    frames = torch.rand(2, 3, 4, 96, 96)
    logits = critic(frames)
    assert logits.shape == (2, 4)
    other = frames.clone()
    other[:, :, :, :48] = 0
    torch.testing.assert_close(critic(other), logits)
    assert not torch.allclose(critic(mask_lower_half(frames)), logits)
    single = critic(frames[1:, :, 2:3])
    torch.testing.assert_close(single, logits[1:, 2:3])


def test_critic__refuses_no_width():
    with pytest.raises(ValueError, match="Invalid width 0"):
        ImageCritic(width=0)
