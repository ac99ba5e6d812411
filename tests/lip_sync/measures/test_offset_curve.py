from fractions import Fraction

import pytest
import torch

from lightly_marlin.lip_sync import SyncExpert, mel_windows, sync_curve


@pytest.mark.parametrize("delay", range(-10, 11))
def test_sync_curve__finds_every_shift(code_expert, make_talk, delay):
    """Sound that is late by k frames has its best shift at k, and the offset -k."""
    talk = make_talk(delay=delay)
    curve = sync_curve(code_expert, talk.frames, talk.mel, talk.fps)
    assert curve.offset == -delay
    assert curve.confidence == 1
    assert curve.shifts.tolist() == [*range(-15, 16)]
    assert curve.similarity.tolist() == [float(s == delay) for s in curve.shifts]


@pytest.mark.parametrize("fps", [12.5, 24, 29.97, Fraction(30000, 1001), 60])
@pytest.mark.parametrize("delay", [-4, 3])
def test_sync_curve__at_other_frame_rates(code_expert, make_talk, fps, delay):
    talk = make_talk(fps=fps, delay=delay)
    curve = sync_curve(code_expert, talk.frames, talk.mel, fps, max_shift=6)
    assert curve.offset == -delay
    assert curve.similarity.max() == 1


def test_sync_curve__sound_that_starts_later(code_expert, make_talk):
    """16 steps are five frames."""
    talk = make_talk()
    late = talk.mel[:, 16:]
    curve = sync_curve(code_expert, talk.frames, late, 25)
    assert curve.offset == 5
    curve = sync_curve(code_expert, talk.frames, late, 25, sound_start=0.2)
    assert curve.offset == 0


def test_sync_curve__equals_a_transcription():
    torch.manual_seed(0)
    expert = SyncExpert(num_frames=2, width=2).eval()
    frames, mel = torch.rand(3, 8, 24, 24), 4 * torch.rand(80, 30) - 2
    curve = sync_curve(expert, frames, mel, 25, max_shift=3, batch_size=3)
    for shift, value in zip(range(-3, 4), curve.similarity, strict=True):
        cosines = []
        for t in range(7):
            if 0 <= t + shift < 7:
                video = expert.embed_frames(frames[None, :, t : t + 2])
                audio = expert.embed_mel(mel_windows(mel, [t + shift], 25, 7))
                cosines.append(float((video * audio).sum().detach()))
        assert value.item() == pytest.approx(sum(cosines) / len(cosines), abs=1e-5)
    ordered = sorted(curve.similarity.tolist())
    assert curve.confidence == pytest.approx(ordered[-1] - ordered[3], abs=1e-6)
    assert curve.similarity[3 - curve.offset] == curve.similarity.max()


def test_sync_curve__of_equals_the_smallest_shift_is_best(code_expert):
    """A picture that does not move says nothing."""
    frames, mel = torch.full((3, 30, 8, 8), 64, dtype=torch.uint8), -2 * torch.ones(1)
    curve = sync_curve(code_expert, frames, mel.expand(80, 120), 25)
    assert (curve.similarity == 1).all()
    assert (curve.offset, curve.confidence) == (0, 0)


def test_sync_curve__leaves_the_expert_as_it_was():
    expert = SyncExpert(num_frames=1, width=1)
    before = {name: value.clone() for name, value in expert.state_dict().items()}
    frames, mel = torch.rand(3, 4, 96, 96), torch.randn(80, 20)
    curve = sync_curve(expert, frames, mel, 25, max_shift=1)
    assert not curve.similarity.requires_grad
    assert expert.training
    torch.testing.assert_close(dict(expert.state_dict()), before, rtol=0, atol=0)


def test_sync_curve__shortest_clip(code_expert, make_talk):
    talk = make_talk(num_frames=20)
    curve = sync_curve(code_expert, talk.frames, talk.mel, 25)
    assert curve.offset == 0
    with pytest.raises(ValueError, match=r"\(3, 19, 8, 8\)\. Supported .* T >= 20"):
        sync_curve(code_expert, talk.frames[:, :19], talk.mel, 25)


def test_sync_curve__errors(code_expert, make_talk):
    talk = make_talk()
    with pytest.raises(ValueError, match="max_shift must be at least 0, got -1"):
        sync_curve(code_expert, talk.frames, talk.mel, 25, max_shift=-1)
    with pytest.raises(ValueError, match="Invalid shape of frames"):
        sync_curve(code_expert, talk.frames[None], talk.mel, 25)
