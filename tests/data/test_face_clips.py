import pickle

import pytest
import torch
from torch.utils.data import DataLoader

from lightly_marlin.data import FaceClips, ResumableClipSampler
from lightly_marlin.data.clip_starts import choose_start, fit_stride
from lightly_marlin.data.frame_size import fit_frames
from lightly_marlin.preparation import prepare_videos
from lightly_marlin.regions import RegionCells
from lightly_marlin.store import FaceStore
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.video import write_video


@pytest.fixture
def store(tmp_path, fake_faces, make_frames):
    for number, length in enumerate((16, 20, 40, 60)):
        write_video(tmp_path / f"{number}.mp4", make_frames(length, seed=number))
    prepare_videos(tmp_path, tmp_path / "store", num_workers=0)
    return FaceStore(tmp_path / "store")


def test_face_clips_item(store):
    clips = FaceClips(store)
    clip = clips[3]
    assert set(clip) == {"video", "regions", "track_id", "start"}
    assert clip["video"].shape == (3, 16, 224, 224)
    assert clip["video"].dtype == torch.uint8
    assert clip["video"].is_contiguous()
    assert clip["regions"].shape == (16, 28, 28)
    assert clip["regions"].dtype == torch.int32
    assert clip["track_id"] == store[3].track_id
    track, frames = store[3], slice(clip["start"], clip["start"] + 31, 2)
    expected = torch.from_numpy(track.frames[frames]).permute(3, 0, 1, 2)
    assert torch.equal(clip["video"], expected)
    assert torch.equal(clip["regions"], track.cells.bits[frames])


def test_face_clips_opens_a_path(store):
    assert len(FaceClips(str(store.path))) == 4


@pytest.mark.parametrize(("start", "expected"), [("first", 0), ("center", 14)])
def test_face_clips_fixed_start(store, start, expected):
    clip = FaceClips(store, start=start)[3]
    assert clip["start"] == expected


def test_face_clips_random_start(store):
    clips = FaceClips(store)
    starts = {clips[3]["start"] for _ in range(60)}
    assert len(starts) > 10
    assert min(starts) >= 0
    assert max(starts) <= 60 - 31
    torch.manual_seed(1)
    first = clips[3]["start"]
    torch.manual_seed(1)
    assert clips[3]["start"] == first


def test_face_clips_drawn_start_is_pure(store):
    starts = [FaceClips(store, seed=1)[3, draw]["start"] for draw in range(40)]
    assert starts == [FaceClips(store, seed=1)[3, draw]["start"] for draw in range(40)]
    assert starts != [FaceClips(store, seed=2)[3, draw]["start"] for draw in range(40)]
    assert len(set(starts)) > 10


def test_face_clips_short_tracks(store):
    clips = FaceClips(store, stride=2)
    assert clips[0]["start"] == 0  # 16 frames: stride 1 fits
    assert torch.equal(clips[0]["regions"], store[0].cells.bits)
    longer = FaceClips(store, num_frames=18, stride=2)
    assert (len(longer), longer.num_left_out) == (3, 1)


def test_face_clips_tracks(store):
    names = [store[2].track_id, store[0].track_id]
    assert FaceClips(store, tracks=names).track_ids == [names[1], names[0]]
    with pytest.raises(ValueError, match="Invalid tracks: nothing not in"):
        FaceClips(store, tracks=["nothing"])
    with pytest.raises(UsageError, match="no track of at least 16 frames among 0"):
        FaceClips(store, tracks=[])


def test_face_clips_column(store):
    """Of the tracks that are in the data set, in its order."""
    names = [store[3].track_id, store[1].track_id]
    clips = FaceClips(store, num_frames=18, tracks=[*names, store[0].track_id])
    assert clips.column("num_frames") == [20, 60]
    assert clips.column("track_id") == clips.track_ids == names[::-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_frames": 0}, "Invalid num_frames 0"),
        ({"stride": 0}, "Invalid stride 0"),
        ({"start": "end"}, "Invalid start 'end'. Supported values are random, center"),
    ],
)
def test_face_clips_invalid(store, options, message):
    with pytest.raises(ValueError, match=message):
        FaceClips(store, **options)


def test_face_clips_index_error(store):
    with pytest.raises(IndexError, match="Invalid index 4: there are 4 tracks"):
        FaceClips(store)[4]


def load(store, num_workers, **options):
    sampler = ResumableClipSampler(4, seed=3, num_samples=12, **options)
    loader = DataLoader(
        FaceClips(store, seed=3), batch_size=3, sampler=sampler, num_workers=num_workers
    )
    return list(loader)


def test_loader_gives_the_same_with_any_number_of_workers(store):
    alone, together = load(store, 0), load(store, 2)
    assert len(alone) == len(together) == 4
    for first, second in zip(alone, together, strict=True):
        assert torch.equal(first["video"], second["video"])
        assert torch.equal(first["regions"], second["regions"])
        assert first["track_id"] == second["track_id"]
        assert torch.equal(first["start"], second["start"])


def test_loader_resumes_at_a_sample(store):
    resumed = load(store, 0, start_sample=6)[0]
    assert torch.equal(resumed["video"], load(store, 0)[2]["video"])


def test_face_clips_pickle(store):
    clips = FaceClips(store, seed=5)
    copy = pickle.loads(pickle.dumps(clips))
    assert torch.equal(copy[3, 7]["video"], clips[3, 7]["video"])
    assert len(pickle.dumps(clips)) < 20_000


def test_fit_stride():
    assert [fit_stride(n, 16, 2) for n in (16, 30, 31, 100)] == [1, 1, 2, 2]
    assert fit_stride(5, 1, 4) == 4


def test_choose_start_is_uniform():
    starts = [
        choose_start(5, "random", seed=0, track=track, draw=draw)
        for track in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN"
        for draw in range(50)
    ]
    counts = [starts.count(value) for value in range(5)]
    assert sum(counts) == 2000
    assert min(counts) > 330  # 400 expected, deviation 18


def test_face_clips__smaller_frames(store):
    large, small = (
        FaceClips(store, start="center"),
        FaceClips(store, start="center", size=112),
    )
    for index in range(len(store)):
        clip, expected = small[index], large[index]
        assert clip["video"].dtype == torch.uint8
        assert clip["video"].is_contiguous()
        assert torch.equal(clip["video"], fit_frames(expected["video"], 112))
        cells = RegionCells(expected["regions"])
        # A cell of half the size covers a patch of twice the side.
        assert torch.equal(clip["regions"], cells.to_patches(16))


@pytest.mark.parametrize("size", [0, -8, 100])
def test_face_clips__bad_size(store, size):
    with pytest.raises(ValueError, match=rf"size {size}: .* multiple of 8"):
        FaceClips(store, size=size)
