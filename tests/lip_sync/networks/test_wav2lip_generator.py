import doctest

import pytest
import torch

from lightly_marlin.lip_sync import LipSyncL1Loss, Wav2LipGenerator, mask_lower_half
from lightly_marlin.lip_sync.networks import wav2lip_generator


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Wav2LipGenerator(width=4)


def draw(batch=1, frames=3, size=96):
    torch.manual_seed(1)
    target, reference = torch.rand(2, batch, 3, frames, size, size)
    return mask_lower_half(target), reference, torch.randn(batch, frames, 1, 80, 16)


def test_example_runs():
    names = {"torch": torch, "mask_lower_half": mask_lower_half}
    failures, tried = doctest.testmod(wav2lip_generator, extraglobs=names, report=True)
    assert (failures, tried) == (0, 4)


@pytest.mark.parametrize(("frames", "size"), [(1, 96), (4, 64)])
def test_clips_of_any_length_and_size(model, frames, size):
    generated = model(*draw(batch=2, frames=frames, size=size))
    assert generated.shape == (2, 3, frames, 96, 96)
    assert ((generated >= 0) & (generated <= 1)).all()


def test_released_sizes():
    """As far as they are known: 6x96x96 to 512x1x1, and sound to 512."""
    model = Wav2LipGenerator()
    maps = torch.zeros(1, 6, 96, 96)
    sides = []
    for block in model.face_encoder:
        maps = block(maps)
        sides.append(maps.shape[-1])
    assert sides == [96, 48, 24, 12, 6, 3, 1]
    assert maps.shape == (1, 512, 1, 1)
    assert model.audio_encoder(torch.zeros(1, 1, 80, 16)).shape == (1, 512)


def test_the_mouth_does_not_leak(model):
    masked, reference, mel = draw()
    shown = masked.clone()
    shown[..., 48:, :] = 1
    assert torch.equal(model(shown, reference, mel), model(masked, reference, mel))


@pytest.mark.parametrize("index", [0, 1, 2])
def test_frames_are_independent(model, index):
    inputs = draw()
    changed = [tensor.clone() for tensor in inputs]
    if index == 2:
        changed[index][:, 1] += 1
    else:
        changed[index][:, :, 1] = 1 - changed[index][:, :, 1]
    differ = (model(*changed) != model(*inputs)).any(dim=-1).any(dim=-1).any(dim=1)
    assert differ.tolist() == [[False, True, False]]


def test_every_parameter_learns(model):
    model(*draw()).square().mean().backward()
    idle = [name for name, p in model.named_parameters() if not p.grad.any()]
    assert idle == []


def test_overfits_one_clip(model):
    inputs = draw()
    target = torch.full_like(inputs[0], 0.2)
    target[..., 48:, :] = 0.8
    criterion, losses = LipSyncL1Loss(), []
    optimizer = torch.optim.Adam(model.parameters(), 2e-2)
    for _ in range(14):
        loss = criterion(model(*inputs), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_saved_generators_come_back(model, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = Wav2LipGenerator.from_pretrained(tmp_path)
    inputs = draw()
    torch.testing.assert_close(loaded(*inputs), model.eval()(*inputs))


def test_autocast_gives_float32(model):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        generated = model(*draw())
    assert generated.dtype == torch.float32
    torch.testing.assert_close(generated, model(*draw()), rtol=0, atol=0.1)
    generated.mean().backward()


def test_no_clips(model):
    assert model(*draw(batch=0)).shape == (0, 3, 3, 96, 96)


def test_errors(model):
    masked, reference, mel = draw()
    with pytest.raises(ValueError, match="Invalid mel of shape"):
        model(masked, reference, mel[:, :2])
    for width in (0, 3):
        with pytest.raises(ValueError, match=f"Invalid width {width}: must be even"):
            Wav2LipGenerator(width)
