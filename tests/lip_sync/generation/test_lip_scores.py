"""Scores of generators whose answers are known."""

import pytest
import torch
from torch import nn

from lightly_marlin.data.frame_size import fit_frames
from lightly_marlin.demo import demo_store
from lightly_marlin.lip_sync import (
    ClipSizes,
    FixedLipClips,
    LipScores,
    SyncExpert,
    score_lips,
)
from lightly_marlin.lip_sync.generation.lip_scores import ClipScores, StillMouths

SIZES = ClipSizes(num_frames=8, size=32)


class Known(nn.Module):
    """Draws the truth, as if it were not masked, and `error` more."""

    size, num_frames, input_size = 32, 8, 32

    def __init__(self, error=0.0):
        super().__init__()
        self.error = nn.Parameter(torch.tensor(error))

    def forward(self, masked, reference, mel):
        return masked.float() / 255 + self.error


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    path = tmp_path_factory.mktemp("talking") / "store"
    store = demo_store(path, num_clips=2, num_frames=24, audio=True)
    return FixedLipClips(store, store.column("track_id"), SIZES, clips_per_track=2)


def test_scores__the_truth_has_no_error(clips):
    scores = score_lips(Known(), clips, StillMouths(clips, 32), batch_size=3)
    assert scores.l1.tolist() == scores.mouth.tolist() == [0.0] * 4
    assert (scores.still_mouth > 0.005).all()
    assert scores.sync.isnan().all()
    means = LipScores.of(scores)
    assert means.mouth_better == 1
    assert means.sync_better != means.sync_better


def test_scores__errors_are_means_of_pixels(clips):
    scores = score_lips(Known(0.25), clips, StillMouths(clips, 32))
    torch.testing.assert_close(scores.l1, torch.full((4,), 0.25).double())
    torch.testing.assert_close(scores.mouth, torch.full((4,), 0.25).double())
    assert LipScores.of(scores).mouth_better == 0


def test_still_mouths__is_the_mean_of_the_other_frames(clips):
    others = clips.tracks[0].read_video(range(8, 24))
    still = torch.from_numpy(others).float().mean(dim=1, keepdim=True) / 255
    still = fit_frames(still, 32)
    error = (still - clips[0].target / 255).abs().mean(dim=0)
    cells = nn.functional.interpolate(clips[0].mouths[None].float(), (32, 32))[0] > 0
    scores = score_lips(Known(), clips, StillMouths(clips, 32))
    # Pictures are rounded after they are resized.
    assert scores.still_mouth[0] == pytest.approx(error[cells].mean().item(), abs=2e-3)


def test_scores__mouth_of_the_reference_and_of_another_sound(clips):
    class Heard(Known):
        def forward(self, masked, reference, mel):
            level = mel.mean(dim=(1, 2, 3, 4)) / 8 + 0.5
            return level[:, None, None, None, None].expand(masked.shape)

    class Still(Known):
        def forward(self, masked, reference, mel):
            return reference.float() / 255

    still = StillMouths(clips, 32)
    same = score_lips(Still(), clips, still)
    torch.testing.assert_close(same.reference_mouth, same.mouth)
    assert torch.equal(same.other_mouth, same.mouth)
    assert LipScores.of(same).sound_better == 0
    heard = score_lips(Heard(), clips, still, batch_size=3)
    cells = nn.functional.interpolate(clips[3].mouths[None].float(), (32, 32))[0] > 0
    # Of clip 3, the next one of another track is clip 0.
    level = clips[0].mel.mean() / 8 + 0.5
    error = (level - clips[3].target / 255).abs().mean(dim=0)[cells].mean()
    assert heard.other_mouth[3] == pytest.approx(error.item(), abs=1e-5)


def test_scores__sound_is_that_of_the_clip_or_of_another_track(clips):
    torch.manual_seed(0)
    expert = SyncExpert(width=1).eval()
    scores = score_lips(Known(), clips, StillMouths(clips, 32), expert, batch_size=3)
    with torch.no_grad():
        for number, other in ((0, 2), (1, 2), (2, 0), (3, 0)):
            frames = clips[number].target / 255
            windows = frames.unfold(1, 5, 1).permute(1, 0, 4, 2, 3)
            seen = expert.embed_frames(windows)
            for found, sounds in (
                (scores.sync, clips[number].sounds),
                (scores.other_sync, clips[other].sounds),
            ):
                wanted = expert.similarity(seen, expert.embed_mel(sounds)).mean()
                assert found[number] == pytest.approx(wanted.item(), abs=1e-5)
            right = expert.similarity(seen, expert.embed_mel(clips[number].sounds))
            loss = -right.log().mean().item()
            assert scores.sync_loss[number] == pytest.approx(loss, abs=1e-4)


def test_summary__shares_and_means():
    column = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    half = torch.full_like(column, 0.25)
    means = LipScores.of(
        ClipScores(column, column, half, column, half, half, half, half)
    )
    assert means.l1 == pytest.approx(0.25)
    assert means.mouth_better == means.sync_better == means.sound_better == 0.5
