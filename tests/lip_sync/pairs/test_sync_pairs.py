from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator

from lightly_marlin.lip_sync import SyncPair, draw_pair, fixed_pairs, pair_inputs


def draw_many(count, num_frames, window=5, fps=25, in_sync=False, seed=0):
    generator = Generator().manual_seed(seed)
    return [
        draw_pair(num_frames, window, fps, in_sync=in_sync, generator=generator)
        for _ in range(count)
    ]


@settings(max_examples=100, deadline=None)
@given(
    window=st.integers(1, 16),
    more=st.integers(2, 300),
    fps=st.sampled_from([1, 12.5, 25, 29.97, 60]),
    in_sync=st.booleans(),
    seed=st.integers(0, 99),
)
def test_draw_pair__keeps_its_rules(window, more, fps, in_sync, seed):
    num_frames = window + more
    for pair in draw_many(3, num_frames, window, fps, in_sync, seed):
        assert 0 <= pair.video_start <= num_frames - window
        assert 0 <= pair.audio_start <= num_frames - window
        shift = abs(pair.video_start - pair.audio_start)
        assert pair.in_sync == in_sync
        assert shift == 0 if in_sync else 2 <= shift <= 2 * fps


def test_draw_pair__reaches_every_place_and_shift():
    pairs = draw_many(3000, 12, window=5, fps=25)
    everything = {(v, a) for v in range(8) for a in range(8) if abs(v - a) >= 2}
    assert set(pairs) == everything
    pairs = draw_many(3000, 40, window=5, fps=3)
    assert {a - v for v, a in pairs} == {*range(-6, -1), *range(2, 7)}


def test_draw_pair__the_place_tells_nothing():
    """Frames are those of the shifted pair of the same draw."""
    shifted, in_sync = (draw_many(50, 9, in_sync=kind) for kind in (False, True))
    assert [p.video_start for p in shifted] == [p.video_start for p in in_sync]


@pytest.mark.parametrize("num_frames", [7, 8])
def test_draw_pair__shortest_clips(num_frames):
    pairs = Counter(draw_many(200, num_frames))
    expected = {7: {(0, 2), (2, 0)}, 8: {(0, 2), (0, 3), (1, 3), (2, 0), (3, 0)}}
    assert set(pairs) == expected[num_frames] | ({(3, 1)} if num_frames == 8 else set())


def test_draw_pair__errors():
    with pytest.raises(ValueError, match=r"6 frames is too short .* it needs 7"):
        draw_many(1, 6)
    with pytest.raises(ValueError, match="too short"):
        draw_many(1, 6, window=0)
    with pytest.raises(ValueError, match=r"fps must be at least 1, got 0\.5"):
        draw_many(1, 60, fps=0.5)


def test_fixed_pairs__are_fixed_and_half_in_sync():
    pairs = fixed_pairs(60, 5, 25, num_pairs=20, seed=3)
    assert pairs == fixed_pairs(60, 5, 25, num_pairs=20, seed=3)
    assert pairs != fixed_pairs(60, 5, 25, num_pairs=20, seed=4)
    assert [pair.in_sync for pair in pairs] == [True, False] * 10
    starts = [pair.video_start for pair in pairs]
    assert starts[::2] == starts[1::2]
    assert len(set(starts)) > 5


def test_fixed_pairs__begin_alike_and_differ_by_clip():
    pairs = fixed_pairs(60, 5, 25, num_pairs=20, seed=[3, 0])
    assert pairs[:4] == fixed_pairs(60, 5, 25, num_pairs=4, seed=[3, 0])
    assert pairs != fixed_pairs(60, 5, 25, num_pairs=20, seed=[3, 1])
    assert fixed_pairs(60, 5, 25, num_pairs=0, seed=0) == []


def test_fixed_pairs__errors():
    with pytest.raises(ValueError, match=r"num_pairs must be even and .* got 3"):
        fixed_pairs(60, 5, 25, num_pairs=3, seed=0)
    with pytest.raises(ValueError, match="too short"):
        fixed_pairs(6, 5, 25, num_pairs=2, seed=0)


def test_pair_inputs__cuts_frames_and_sound():
    frames = torch.arange(40.0)[None, :, None, None].expand(3, -1, 2, 2)
    mel = torch.arange(200.0).expand(80, -1)
    cut, sound = pair_inputs(frames, mel, SyncPair(7, 10), 5, 25)
    assert cut[0, :, 0, 0].tolist() == [7, 8, 9, 10, 11]
    assert sound.shape == (1, 80, 16)
    assert sound[0, 0].tolist() == [*range(32, 48)]
    cut, sound = pair_inputs(frames, mel, SyncPair(24, 0), 16, 25, sound_start=0.1)
    assert cut.shape == (3, 16, 2, 2)
    assert sound[0, 0].tolist() == [-4] * 8 + [*range(44)]


@pytest.mark.parametrize("start", [-1, 36])
def test_pair_inputs__windows_beyond_the_clip(start):
    frames, mel = torch.zeros(3, 40, 2, 2), torch.zeros(80, 200)
    with pytest.raises(ValueError, match=f"Frames {start} to {start + 4} do not lie"):
        pair_inputs(frames, mel, SyncPair(start, 3), 5, 25)
