"""Offset of a track: what an expert with known answers says of it."""

import numpy as np
import pytest
import torch

from lightly_marlin.audio import mel_spectrogram
from lightly_marlin.demo import demo_store
from lightly_marlin.lip_sync import SyncExpert, sync_curve, track_curve


@pytest.fixture(scope="module")
def track(tmp_path_factory):
    path = tmp_path_factory.mktemp("talking") / "store"
    return demo_store(path, num_clips=1, num_frames=26, audio=True)[0]


def test_track_curve__is_that_of_its_frames_and_sound(track):
    torch.manual_seed(0)
    expert = SyncExpert(width=1).eval()
    found = track_curve(expert, track, 4)
    frames = torch.from_numpy(track.read_video(range(26)))
    mel = mel_spectrogram(track.read_audio(0, track.num_samples))
    expected = sync_curve(expert, frames, mel, 25, 4)
    np.testing.assert_allclose(found.similarity, expected.similarity, rtol=1e-5)
    assert found.offset == expected.offset


def test_track_curve__none_of_short_tracks(track):
    expert = SyncExpert(width=1)
    assert track_curve(expert, track, 21) is not None
    assert track_curve(expert, track, 22) is None
