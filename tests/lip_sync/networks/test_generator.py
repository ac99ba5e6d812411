import copy
import doctest

import pytest
import torch

from lightly_marlin.lip_sync import LipSyncGenerator, mask_lower_half
from lightly_marlin.lip_sync.networks import generator
from lightly_marlin.models import MarlinConfig, MarlinEncoder


@pytest.fixture
def model(encoder):
    torch.manual_seed(0)
    model = LipSyncGenerator(copy.deepcopy(encoder), size=32, audio_width=2)
    # It begins at zero, and would hide what the layers before do.
    torch.nn.init.normal_(model.head[-1].weight, std=0.1)
    return model


def draw(batch=1, size=32, frames=16):
    torch.manual_seed(1)
    target, reference = torch.rand(2, batch, 3, frames, size, size)
    return mask_lower_half(target), reference, torch.randn(batch, frames, 1, 80, 16)


def test_example_runs():
    names = {"torch": torch, "mask_lower_half": mask_lower_half}
    failures, tried = doctest.testmod(generator, extraglobs=names, report=True)
    assert (failures, tried) == (0, 6)


@pytest.mark.parametrize(("size", "stages"), [(32, 4), (20, 4), (64, 5), (2, 0)])
@pytest.mark.parametrize("crop", [32, 24])
def test_any_size_in_and_out(encoder, size, stages, crop):
    model = LipSyncGenerator(encoder, size=size, audio_width=1).eval()
    assert len(model.stages) == stages
    with torch.no_grad():
        generated = model(*draw(batch=2, size=crop))
    assert generated.shape == (2, 3, 16, size, size)
    assert generated.dtype == torch.float32
    assert ((generated >= 0) & (generated <= 1 + 1e-6)).all()


def test_released_sizes():
    """As far as they are known: 774 channels become 378, and 14x14 tokens 28x28."""
    config = MarlinConfig(encoder_depth=1)
    model = LipSyncGenerator(MarlinEncoder(config), size=224, audio_width=1)
    first = model.stages[0][0]
    assert (first.in_channels, first.out_channels, first.stride) == (774, 378, (2, 2))
    assert [stage[0].out_channels for stage in model.stages] == [378, 186, 90, 42]
    assert model._frame_maps(torch.zeros(1, 1568, 768)).shape == (16, 384, 14, 14)


def test_tokens_are_shared_among_their_frames(model):
    """Tokens in (time, row, column) order; half of the channels for each frame."""
    tokens = torch.randn(2, 32, 24)
    maps = model._frame_maps(tokens)
    assert maps.shape == (2 * 16, 12, 2, 2)
    for b in range(2):
        for frame in range(16):
            for row in range(2):
                for column in range(2):
                    token = tokens[b, 4 * (frame // 2) + 2 * row + column]
                    part = token[12 * (frame % 2) :][:12]
                    assert torch.equal(maps[16 * b + frame, :, row, column], part)


def frames_that_differ(one, other):
    return (one != other).any(dim=-1).any(dim=-1).any(dim=1)[0].nonzero()[:, 0].tolist()


def test_reach_of_the_inputs(model):
    """Sound and reference act on their own frame, the target on the whole clip."""
    model.eval()
    inputs = draw()
    generated = model(*inputs)
    for index, reach in ((0, [*range(16)]), (1, [3]), (2, [3])):
        changed = [tensor.clone() for tensor in inputs]
        if index == 2:
            changed[index][:, 3] += 1
        else:
            changed[index][:, :, 3] = 1 - changed[index][:, :, 3]
        assert frames_that_differ(model(*changed), generated) == reach


def test_untrained_it_joins_target_and_reference(encoder):
    """Without a dark line where the mask begins, though both are resized."""
    model = LipSyncGenerator(encoder, size=32, audio_width=1)
    masked, reference, mel = draw(size=48)
    shown = mask_lower_half(torch.full_like(masked, 0.75))
    face = torch.full_like(reference, 0.75)
    face[..., 24:, :] = 0.5
    generated = model(shown, face, mel)
    assert generated[..., :14, :].allclose(torch.tensor(0.75), atol=1e-6)
    assert generated[..., 18:, :].allclose(torch.tensor(0.5), atol=1e-6)
    assert generated.min() > 0.5 - 1e-6


@pytest.mark.parametrize(("light", "wanted"), [(0.8, 0.8), (0.1, 0.5), (0.0, 0.5)])
def test_untrained_it_lights_the_reference_as_the_target(encoder, light, wanted):
    """Colour by colour, frame by frame; by a ratio of 2 at most."""
    model = LipSyncGenerator(encoder, size=32, audio_width=1)
    reference = torch.full((1, 3, 16, 32, 32), 0.6)
    reference[..., 16:, :] = 0.4
    target = 0.6 * torch.ones_like(reference)
    target[:, 2, 5] *= light
    generated = model(mask_lower_half(target), reference, torch.zeros(1, 16, 1, 80, 16))
    expected = torch.full((3, 16), 0.4)
    expected[2, 5] *= wanted
    lower = generated[0, ..., 20:, :].mean(dim=(-2, -1))
    torch.testing.assert_close(lower, expected, rtol=1e-3, atol=1e-4)


def test_errors(model, encoder):
    with pytest.raises(ValueError, match=r"masked .* \(B, 3, 16, H, W\)"):
        model(*draw(frames=8))
    for options, said in (
        ({"size": 0}, "Invalid size 0: must be at least 1"),
        ({"audio_width": 0}, "Invalid audio_width 0"),
    ):
        with pytest.raises(ValueError, match=said):
            LipSyncGenerator(encoder, **options)
    sizes = {"img_size": 32, "encoder_depth": 1, "encoder_dim": 24}
    grey = MarlinConfig(**sizes, encoder_num_heads=2, in_channels=1)
    with pytest.raises(ValueError, match="frames of 3 channels, got 1"):
        LipSyncGenerator(MarlinEncoder(grey))
    long = MarlinConfig(**sizes, encoder_num_heads=2, tubelet_size=16)
    with pytest.raises(ValueError, match=r"width \(24\) must be a multiple .* \(16\)"):
        LipSyncGenerator(MarlinEncoder(long))
