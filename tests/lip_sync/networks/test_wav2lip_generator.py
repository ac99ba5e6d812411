import doctest

import pytest
import torch

from lightly_marlin.lip_sync import Wav2LipGenerator, mask_lower_half
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
    model = Wav2LipGenerator().eval()
    maps = torch.zeros(1, 6, 96, 96)
    sides = []
    for block in model.face_encoder:
        maps = block(maps)
        sides.append(maps.shape[-1])
    assert sides == [96, 48, 24, 12, 6, 3, 1]
    assert maps.shape == (1, 512, 1, 1)
    assert model.audio_encoder(torch.zeros(1, 1, 80, 16)).shape == (1, 512)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_frames_are_independent(model, index):
    model.eval()
    inputs = draw()
    changed = [tensor.clone() for tensor in inputs]
    if index == 2:
        changed[index][:, 1] += 1
    else:
        changed[index][:, :, 1] = 1 - changed[index][:, :, 1]
    differ = (model(*changed) != model(*inputs)).any(dim=-1).any(dim=-1).any(dim=1)
    assert differ.tolist() == [[False, True, False]]


def test_errors(model):
    masked, reference, mel = draw()
    with pytest.raises(ValueError, match="Invalid mel of shape"):
        model(masked, reference, mel[:, :2])
    for width in (0, 3):
        with pytest.raises(ValueError, match=f"Invalid width {width}: must be even"):
            Wav2LipGenerator(width)
