import itertools
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from lightly_marlin.data import (
    DistinctGroupSampler,
    FaceClipPairs,
    ResumableClipSampler,
    clip_loader,
)
from lightly_marlin.data.clip_starts import choose_two_starts
from lightly_marlin.preparation import prepare_videos
from lightly_marlin.store import FaceStore
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.video import write_video


@pytest.fixture(scope="module")
def store(tmp_path_factory, fake_finder, make_frames):
    folder = tmp_path_factory.mktemp("pairs")
    for number, length in enumerate((16, 20, 40, 70)):
        write_video(folder / f"{number}.mp4", make_frames(length, seed=number))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lightly_marlin.faces.FaceFinder", fake_finder)
        prepare_videos(folder, folder / "store", num_workers=0)
    return FaceStore(folder / "store")


@settings(max_examples=200, deadline=None)
@given(
    num_starts=st.integers(1, 60), span=st.integers(1, 40), draw=st.integers(0, 10**6)
)
def test_two_starts__lie_apart_where_there_is_room(num_starts, span, draw):
    starts = choose_two_starts(num_starts, span, seed=0, track="a", draw=draw)
    assert all(0 <= start < num_starts for start in starts)
    if num_starts > span:
        assert abs(starts[0] - starts[1]) >= span
    else:
        assert sorted(starts) == [0, num_starts - 1]


def test_two_starts__reach_every_pair_in_both_orders():
    drawn = {
        choose_two_starts(7, 3, seed=1, track="b", draw=draw) for draw in range(2000)
    }
    places = range(7)
    assert drawn == {(a, b) for a in places for b in places if abs(a - b) >= 3}


def test_two_starts__depend_on_seed_track_and_draw():
    base = {"seed": 1, "track": "b", "draw": 3}
    once = choose_two_starts(10**6, 10, **base)
    assert choose_two_starts(10**6, 10, **base) == once
    for name in base:
        other = {**base, name: 9}
        assert choose_two_starts(10**6, 10, **other) != once


def test_item(store):
    pairs = FaceClipPairs(store)
    pair, track = pairs[3, 0], store[3]
    assert set(pair) == {
        "video", "regions", "track_id", "start", "video_b", "regions_b", "start_b"
    }  # fmt: skip
    for end in ("", "_b"):
        start = pair[f"start{end}"]
        frames = slice(start, start + 31, 2)
        expected = torch.from_numpy(track.frames[frames]).permute(3, 0, 1, 2)
        assert torch.equal(pair[f"video{end}"], expected)
        assert torch.equal(pair[f"regions{end}"], track.cells.bits[frames])
    assert abs(pair["start"] - pair["start_b"]) >= 31
    assert pair["track_id"] == track.track_id


def test_short_tracks_overlap_and_are_counted(store):
    """16 frames hold one clip, 20 and 40 overlapping ones, 70 two separate ones."""
    pairs = FaceClipPairs(store)
    assert pairs.num_overlapping == 3
    starts = [sorted((pairs[i, 0]["start"], pairs[i, 0]["start_b"])) for i in range(3)]
    assert starts == [[0, 0], [0, 4], [0, 9]]
    assert FaceClipPairs(store, num_frames=8, stride=1).num_overlapping == 0


def test_starts_are_pure(store):
    def starts(seed):
        pairs = FaceClipPairs(store, num_frames=4, seed=seed)
        return [(pairs[3, d]["start"], pairs[3, d]["start_b"]) for d in range(20)]

    assert starts(1) == starts(1) != starts(2)
    assert len(set(starts(1))) > 10


def test_plain_index_draws_from_torch(store):
    pairs = FaceClipPairs(store, num_frames=4)
    drawn = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        drawn.append([pairs[-1][name] for name in ("start", "start_b")])
    assert drawn[0] == drawn[1] != drawn[2]


def test_loads_with_workers_as_without(store):
    def load(num_workers):
        sampler = ResumableClipSampler(4, seed=3, num_samples=4)
        pairs = FaceClipPairs(store, num_frames=4, seed=3)
        loader = DataLoader(
            pairs, batch_size=2, sampler=sampler, num_workers=num_workers
        )
        return list(loader)

    for alone, together in zip(load(0), load(1), strict=True):
        assert torch.equal(alone["video_b"], together["video_b"])
        assert torch.equal(alone["start_b"], together["start_b"])


def test_clip_loader_takes_pairs(store):
    batch = next(iter(clip_loader(FaceClipPairs(store, num_frames=4), 3)))
    assert batch["video_b"].shape == (3, 3, 4, 224, 224)


def test_tracks_of_a_video_stay_apart(store):
    pairs = FaceClipPairs(store)
    assert pairs.column("source") == ["0.mp4", "1.mp4", "2.mp4", "3.mp4"]
    sampler = DistinctGroupSampler(pairs.column("source"), total_batch=4)
    indices = [index for index, _ in itertools.islice(sampler, 4)]
    assert sorted(indices) == [0, 1, 2, 3]


def test_errors(store):
    with pytest.raises(IndexError, match="Invalid index 4: there are 4 tracks"):
        FaceClipPairs(store)[4]
    with pytest.raises(UsageError, match="no track of at least 80 frames"):
        FaceClipPairs(store, num_frames=80)


def test_pickle(store):
    pairs = FaceClipPairs(store, num_frames=4, seed=5)
    copy = pickle.loads(pickle.dumps(pairs))
    assert torch.equal(copy[3, 7]["video_b"], pairs[3, 7]["video_b"])
