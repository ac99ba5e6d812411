"""Pairs from stores: the right frames beside the right sound, reproducibly."""

import shutil
from itertools import islice

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from lightly_marlin.audio import mel_spectrogram
from lightly_marlin.data.frame_size import fit_frames
from lightly_marlin.demo import demo_store
from lightly_marlin.lip_sync import (
    FixedSyncPairs,
    PairSampler,
    SyncPairs,
    mel_windows,
    sound_tracks,
)
from lightly_marlin.store import FaceStore


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("talking") / "store"
    return demo_store(path, num_clips=2, num_frames=32, audio=True)


def test_items__are_the_frames_and_the_sound_of_their_pair(store):
    pairs = FixedSyncPairs(store, pairs_per_track=4)
    assert len(pairs) == 8
    for item, (index, pair) in zip(pairs, pairs.pairs, strict=True):
        track = store[index]
        rows = range(pair.video_start, pair.video_start + 5)
        video = torch.from_numpy(track.read_video(rows))
        assert torch.equal(item.frames, fit_frames(video, 96))
        mel = mel_spectrogram(track.read_audio(0, track.num_samples))
        whole = mel_windows(mel, [pair.audio_start], 25)[0]
        start = 80 * pair.audio_start // 25
        inside = slice(max(0, 3 - start), max(0, 80 * 32 // 25 - 3 - start))
        torch.testing.assert_close(item.mel[..., inside], whole[..., inside])
        assert item.in_sync == (pair.video_start == pair.audio_start)


def test_pairs__half_of_a_batch_is_in_sync(store):
    pairs = SyncPairs(store, num_frames=16)
    loader = DataLoader(pairs, batch_size=6, sampler=PairSampler(len(pairs)))
    for frames, mel, in_sync in islice(loader, 3):
        assert frames.shape == (6, 3, 16, 96, 96)
        assert frames.dtype == torch.uint8
        assert mel.shape == (6, 1, 80, 52)
        assert in_sync.tolist() == [True, False] * 3


def test_pairs__depend_on_seed_and_place_alone(store):
    pairs = SyncPairs(store, seed=1)
    first, again = pairs[0, 8], SyncPairs(store, seed=1)[0, 8]
    assert torch.equal(first.frames, again.frames)
    assert torch.equal(first.mel, again.mel)
    others = [pairs[0, 10], SyncPairs(store, seed=2)[0, 8]]
    assert not any(torch.equal(first.mel, other.mel) for other in others)


def test_sampler__goes_on_where_it_stopped():
    whole = list(islice(PairSampler(5, seed=3), 20))
    assert list(islice(PairSampler(5, seed=3, start_sample=7), 13)) == whole[7:]
    assert [sample for _, sample in whole] == list(range(20))
    assert {index for index, _ in whole[5:10]} == set(range(5))


def test_sampler__no_track_stays_in_sync():
    kinds = {(index, sample % 2) for index, sample in islice(PairSampler(4), 80)}
    assert len(kinds) == 8


def test_fixed_pairs__are_fixed(store):
    pairs = FixedSyncPairs(store, seed=4).pairs
    assert FixedSyncPairs(store, seed=4).pairs == pairs
    assert FixedSyncPairs(store, seed=5).pairs != pairs


def test_sound_tracks__names_what_is_left_out(store, tmp_path):
    names = store.column("track_id")
    assert sound_tracks(store, 30) == (names, {})
    usable, reasons = sound_tracks(store, 31)
    assert usable == []
    assert reasons[names[0]] == "it has 32 frames at 25 per second; 33 are needed"
    mute = demo_store(tmp_path / "mute", num_clips=1, num_frames=24)
    assert set(sound_tracks(mute, 5)[1].values()) == {"it has no sound"}


def test_items__frames_stand_at_their_times(store, tmp_path):
    """Of a track at half the rate, each frame is beside two windows of sound."""
    slow = shutil.copytree(store.path, tmp_path / "store")
    for path in slow.glob("tracks/*/*.seconds.npy"):
        seconds = np.load(path)
        np.save(path, 2 * seconds)
    pairs = FixedSyncPairs(FaceStore(slow), pairs_per_track=2)
    index, pair = pairs.pairs[0]
    shown = [(pair.video_start + i) // 2 for i in range(5)]
    video = store[index].read_video(sorted(set(shown)))
    place = [sorted(set(shown)).index(i) for i in shown]
    expected = fit_frames(torch.from_numpy(video), 96)[:, place]
    assert torch.equal(pairs[0].frames, expected)
