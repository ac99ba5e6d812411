"""Windows through a generator whose answers are known."""

import numpy as np
import pytest
import torch
from torch import nn

from lightly_marlin.lip_sync import LipSyncGenerator, Wav2LipGenerator, generate_lips


class Recorder(nn.Module):
    """Draws the number of the target's moment in red, that of its sound in green."""

    size, input_size = 8, 8

    def __init__(self, num_frames=16):
        super().__init__()
        self.num_frames = num_frames
        self.unused = nn.Parameter(torch.zeros(()))
        self.calls = []

    def forward(self, masked, reference, mel):
        assert not torch.is_grad_enabled()
        assert not self.training
        assert masked.dtype == reference.dtype == torch.uint8
        self.calls.append((masked, reference, mel))
        drawn = torch.zeros(masked.shape)
        drawn[:, 0] = masked[:, 0, :, :1, :1] / 255
        drawn[:, 1] = mel[:, :, 0, :1, :1] / 255
        return drawn


def run(model, num_frames, **options):
    crops = [np.full((8, 8, 3), number, np.uint8) for number in range(num_frames)]
    reference = np.full((8, 8, 3), 200, np.uint8)

    def sound(indices):
        numbers = torch.tensor(indices, dtype=torch.float32)
        return numbers[:, None, None, None].expand(-1, 1, 80, 16)

    stream = generate_lips(model, iter(crops), num_frames, reference, sound, **options)
    frames = np.stack(list(stream))
    assert frames.dtype == np.uint8
    return frames


@pytest.mark.parametrize("num_frames", [1, 5, 16, 17, 45])
@pytest.mark.parametrize("options", [{}, {"stride": 5, "batch_size": 3}])
def test_every_frame_has_its_crop_and_its_sound(num_frames, options):
    model = Recorder().train()
    frames = run(model, num_frames, **options)
    assert frames.shape == (num_frames, 8, 8, 3)
    assert (frames[:, 0, 0, 0] == np.arange(num_frames)).all()
    assert (frames[:, 0, 0, 1] == np.arange(num_frames)).all()
    assert model.training


def test_the_mouth_is_hidden_and_the_reference_shown():
    model = Recorder()
    run(model, 20)
    for masked, reference, _ in model.calls:
        assert masked.shape == reference.shape == (1, 3, 16, 8, 8)
        assert (masked[..., 4:, :] == 0).all()
        assert (reference == 200).all()


def test_a_short_face_is_prolonged_by_its_last_frame():
    model = Recorder()
    run(model, 3)
    ((masked, _, mel),) = model.calls
    assert masked[0, 0, :, 0, 0].tolist() == [0, 1] + 14 * [2]
    assert mel[0, :, 0, 0, 0].tolist() == [0, 1] + 14 * [2]


def test_windows_overlap_by_half_unless_frames_are_independent():
    for num_frames, starts in ((16, [0, 8, 16, 24]), (None, [0, 16, 24])):
        model = Recorder(num_frames)
        run(model, 40)
        assert [int(call[0][0, 0, 0, 0, 0]) for call in model.calls] == starts


def test_batches_change_nothing():
    one, many = Recorder(), Recorder()
    assert np.array_equal(run(one, 45), run(many, 45, batch_size=4))
    assert [len(call[0]) for call in many.calls] == [4, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 17}, "Invalid stride 17"),
        ({"batch_size": 0}, "Invalid batch_size 0: must be at least 1"),
    ],
)
def test_refuses_impossible_options(options, message):
    with pytest.raises(ValueError, match=message):
        run(Recorder(), 20, **options)


def test_both_generators_fit(encoder):
    torch.manual_seed(0)
    models = LipSyncGenerator(encoder, size=24, audio_width=1), Wav2LipGenerator(2)
    for model, size, given in zip(models, (24, 96), (32, 96), strict=True):
        assert run(model.eval(), 9).shape == (9, size, size, 3)
        assert model.input_size == given
