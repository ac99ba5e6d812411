"""Clips with sound: lengths that collate, whatever rates and lengths tracks have."""

import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from lightly_marlin.data import FaceClipPairs, FaceClips, ResumableClipSampler
from lightly_marlin.preparation import prepare_videos
from lightly_marlin.store import FaceStore
from lightly_marlin.video import write_video

VIDEOS = [(60, 25.0), (20, 25.0), (60, 50.0)]
"""Frames and frame rates; the second is too short for clips at stride 2."""


@pytest.fixture
def store(tmp_path, fake_faces, make_frames):
    for number, (length, fps) in enumerate(VIDEOS):
        sound = np.random.default_rng(number).uniform(-0.5, 0.5, 40000)
        path = tmp_path / f"{number}.mp4"
        write_video(path, make_frames(length, 64, 64, seed=number), fps, audio=sound)
    prepare_videos(tmp_path, tmp_path / "store", num_workers=0, audio=True)
    return FaceStore(tmp_path / "store")


def test_face_clips__sound_has_the_length_of_the_longest_clip(store):
    names = store.column("track_id")
    for tracks, frames in ((names, 32), (names[1:2], 16), (names[2:], 16)):
        clips = FaceClips(store, tracks=tracks, audio=True)
        assert clips.num_samples == frames * 640
    assert FaceClips(store).num_samples == 0


def test_face_clips__sound_begins_with_the_first_frame(store):
    clips = FaceClips(store, start="center", audio=True)
    for clip, track, step in zip(clips, store, (0.08, 0.04, 0.04), strict=True):
        assert (clip["audio"].dtype, clip["audio"].shape) == (torch.float32, (20480,))
        begin = round(clip["start"] / track.fps * 16000)
        expected = np.zeros(20480, np.float32)
        part = track.audio[begin : begin + 20480] / np.float32(32768)
        expected[: len(part)] = part
        assert np.array_equal(clip["audio"].numpy(), expected)
        assert clip["seconds"].dtype == torch.float32
        np.testing.assert_allclose(clip["seconds"], np.arange(16) * step, atol=1e-6)
    # After the end of a short track, there is silence.
    assert not clips[1]["audio"][-7000:].any()
    assert clips[1]["audio"][:5000].std() > 0.1


def test_face_clips__the_picture_is_that_of_clips_without_sound(store):
    with_sound, without = FaceClips(store, audio=True), FaceClips(store)
    for name in ("video", "regions"):
        assert torch.equal(with_sound[0, 3][name], without[0, 3][name])
    assert "audio" not in without[0]


def test_face_clips__batches_with_any_number_of_workers(store):
    def load(num_workers):
        clips = FaceClips(store, seed=3, audio=True)
        sampler = ResumableClipSampler(clips, seed=3, num_samples=6)
        loader = DataLoader(
            clips, batch_size=3, sampler=sampler, num_workers=num_workers
        )
        return list(loader)

    alone, together = load(0), load(1)
    for one, other in zip(alone, together, strict=True):
        assert one["audio"].shape == (3, 20480)
        assert one["seconds"].shape == (3, 16)
        assert torch.equal(one["audio"], other["audio"])
    copy = pickle.loads(pickle.dumps(FaceClips(store, seed=3, audio=True)))
    assert copy.num_samples == 20480


def test_face_clip_pairs__have_no_sound(store):
    assert "audio" not in FaceClipPairs(store, num_frames=16, stride=1)[0]
