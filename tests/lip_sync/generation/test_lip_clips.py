"""Clips from stores: the right frames beside the right sound, and another reference."""

import numpy as np
import pytest
import torch

from lightly_marlin.data.frame_size import fit_frames
from lightly_marlin.demo import demo_store
from lightly_marlin.lip_sync import ClipSizes, FixedLipClips, LipClips
from lightly_marlin.lip_sync.generation.lip_clips import read_lip_clip
from lightly_marlin.lip_sync.pairs.track_windows import track_mel, track_mouths
from lightly_marlin.regions import Label

SIZES = ClipSizes(num_frames=8, size=32, expert_frames=5, expert_steps=16)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("talking") / "store"
    return demo_store(path, num_clips=2, num_frames=24, audio=True)


@pytest.fixture(scope="module")
def names(store):
    return store.column("track_id")


def test_read__frames_and_sound_of_each_frame(store):
    clip = read_lip_clip(store[0], 3, 20, SIZES)
    frames = torch.from_numpy(store[0].read_video([*range(3, 11), 20]))
    wanted = fit_frames(frames, 32)
    assert torch.equal(clip.target, wanted[:, :8])
    assert torch.equal(clip.reference, wanted[:, 8:])
    assert clip.mel.shape == (8, 1, 80, 16)
    assert clip.sounds.shape == (4, 1, 80, 16)
    for k in range(8):
        torch.testing.assert_close(clip.mel[k], track_mel(store[0], 3 + k, 16))
    assert torch.equal(clip.sounds, clip.mel[:4])


def test_read__windows_of_a_long_expert(store):
    sizes = SIZES._replace(num_frames=16, expert_frames=16, expert_steps=52)
    sounds = read_lip_clip(store[0], 2, 0, sizes).sounds
    torch.testing.assert_close(sounds[0], track_mel(store[0], 2, 52))
    assert sounds.shape == (1, 1, 80, 52)


def test_clips__reference_is_outside_and_every_start_occurs(store, names, monkeypatch):
    seen = set()
    monkeypatch.setattr(
        "lightly_marlin.lip_sync.generation.lip_clips.read_lip_clip",
        lambda track, start, other, sizes: seen.add((start, other)),
    )
    clips = LipClips(store, names[:1], SIZES)
    for sample in range(2000):
        clips[0, sample]
    assert {start for start, _ in seen} == set(range(17))
    assert {other for _, other in seen} == set(range(24))
    assert not any(start <= other < start + 8 for start, other in seen)


def test_clips__depend_on_seed_and_place_alone(store, names):
    first = LipClips(store, names, SIZES, seed=1)[1, 8]
    again = LipClips(store, names, SIZES, seed=1)[1, 8]
    assert all(map(torch.equal, first, again))
    other = LipClips(store, names, SIZES, seed=2)[1, 8]
    assert not torch.equal(first.mel, other.mel)


@pytest.mark.parametrize(("most", "starts"), [(1, [0]), (2, [0, 16]), (9, [0, 8, 16])])
def test_fixed_clips__do_not_overlap(store, names, most, starts):
    clips = FixedLipClips(store, names[:1], SIZES, clips_per_track=most)
    assert clips.places == [(0, start) for start in starts]


def test_fixed_clips__reference_is_the_first_or_the_last_frame(store, names):
    clips = FixedLipClips(store, names[:1], SIZES, clips_per_track=2)
    wanted = fit_frames(torch.from_numpy(store[0].read_video([0, 23])), 32)
    assert torch.equal(clips[0].reference, wanted[:, 1:])
    assert torch.equal(clips[1].reference, wanted[:, :1])


def test_mel__is_the_sound_of_the_clip(store, names):
    clips = FixedLipClips(store, names, SIZES, clips_per_track=2)
    assert torch.equal(clips.mel(3), clips[3].mel)


def test_other_frames__are_outside_the_clip(store, names):
    clips = FixedLipClips(store, names[:1], SIZES, clips_per_track=2)
    wanted = fit_frames(torch.from_numpy(store[0].read_video([0, 8, 15])), 32)
    assert torch.equal(clips.other_frames(1, most=3), wanted)


def test_mouths__are_cells_with_lips(store):
    bits = store[0].read_cells(range(16, 24))[:].numpy()
    lips = 1 << Label.UPPER_LIP | 1 << Label.INNER_MOUTH | 1 << Label.LOWER_LIP
    mouths = read_lip_clip(store[0], 16, 0, SIZES).mouths
    np.testing.assert_array_equal(mouths, bits & lips > 0)
    assert 0 < mouths.sum() < mouths.numel() / 4
    assert torch.equal(track_mouths(store[0], 16, 8), mouths)
