"""What both generators promise: no leak, gradients, saving, precision, batches."""

import copy
from typing import NamedTuple

import pytest
import torch
from torch import nn

from lightly_marlin.lip_sync import (
    LipSyncGenerator,
    LipSyncL1Loss,
    Wav2LipGenerator,
    mask_lower_half,
)


class Case(NamedTuple):
    """A small generator, the crops that it is given, and how it is overfitted."""

    model: nn.Module
    frames: int
    size: int
    rate: float
    steps: int

    def draw(self, batch=1):
        torch.manual_seed(1)
        clips = (batch, 3, self.frames, self.size, self.size)
        target, reference = torch.rand(2, *clips)
        mel = torch.randn(batch, self.frames, 1, 80, 16)
        return mask_lower_half(target), reference, mel


@pytest.fixture(params=["marlin", "wav2lip"])
def case(request, encoder):
    torch.manual_seed(0)
    if request.param == "wav2lip":
        return Case(Wav2LipGenerator(width=4), 3, 96, 2e-2, 14)
    model = LipSyncGenerator(copy.deepcopy(encoder), size=32, audio_width=2)
    nn.init.normal_(model.head[-1].weight, std=0.1)  # It begins at zero.
    return Case(model, 16, 32, 1e-2, 8)


def test_the_mouth_does_not_leak(case):
    masked, reference, mel = case.draw()
    shown = masked.clone()
    shown[..., case.size // 2 :, :] = 1
    assert torch.equal(
        case.model(shown, reference, mel), case.model(masked, reference, mel)
    )


def test_every_parameter_learns(case):
    case.model(*case.draw()).square().mean().backward()
    idle = [
        name
        for name, parameter in case.model.named_parameters()
        if parameter.requires_grad
        and (parameter.grad is None or not parameter.grad.any())
    ]
    assert idle == []


def test_loudness_is_heard(case):
    """It is the level of a spectrogram, which a norm of each alone would level out."""
    frames = 8
    levels = torch.linspace(-3.5, 1, frames).reshape(frames, 1, 1, 1)
    mel = levels + 0.1 * torch.randn(frames, 1, 80, 16)
    heard = case.model.train().audio_encoder(mel).flatten(1)
    assert heard.std(dim=0).mean() > 0.2 * heard.std()


def test_overfits_one_clip(case):
    masked, reference, mel = case.draw()
    grey = torch.full_like(masked, 0.5)
    inputs = mask_lower_half(grey), torch.full_like(reference, 0.4), mel
    target = torch.full_like(masked, 0.2)
    target[..., case.size // 2 :, :] = 0.8
    criterion, losses = LipSyncL1Loss(), []
    optimizer = torch.optim.Adam(case.model.parameters(), case.rate)
    for _ in range(case.steps):
        loss = criterion(case.model(*inputs), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_saved_generators_come_back(case, tmp_path):
    case.model.save_pretrained(tmp_path)
    loaded = type(case.model).from_pretrained(tmp_path)
    assert loaded.settings() == case.model.settings()
    inputs = case.draw()
    torch.testing.assert_close(loaded(*inputs), case.model.eval()(*inputs))


def test_clips_do_not_depend_on_their_batch(case):
    case.model.eval()
    inputs = case.draw(batch=2)
    alone = case.model(*(tensor[1:] for tensor in inputs))
    together = case.model(*inputs)[1:]
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_uint8_is_scaled(case):
    masked, reference, mel = case.draw()
    small = [(255 * tensor).to(torch.uint8) for tensor in (masked, reference)]
    expected = case.model(small[0] / 255, small[1] / 255, mel)
    generated = case.model(*small, mel)
    torch.testing.assert_close(generated, expected, rtol=1e-4, atol=1e-5)


def test_autocast_gives_float32(case):
    inputs = case.draw()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        generated = case.model(*inputs)
    assert generated.dtype == torch.float32
    torch.testing.assert_close(generated, case.model(*inputs), rtol=0, atol=0.1)
    generated.mean().backward()


def test_no_clips(case):
    shape = (0, 3, case.frames, case.size, case.size)
    assert case.model(*case.draw(batch=0)).shape == shape
