import itertools

import pytest
import torch

from lightly_marlin.data import FaceClips, clip_loader, demo_store, open_store
from lightly_marlin.utils.errors import UsageError


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache in which the demo store of open_store has been made."""
    folder = tmp_path_factory.mktemp("cache")
    demo_store(folder / "lightly_marlin" / "demo-3x24", num_clips=3, num_frames=24)
    return folder


def test_open_store__demo_clips_are_kept_in_the_cache(cache, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    store = open_store(None, demo_clips=3, demo_frames=24)
    assert len(store) == 3
    assert "built-in demo clips" in capsys.readouterr().out
    path = cache / "lightly_marlin" / "demo-3x24"
    assert open_store(path).column("track_id") == store.column("track_id")


def test_open_store__no_store(tmp_path):
    with pytest.raises(UsageError, match="nowhere"):
        open_store(tmp_path / "nowhere")


def test_clip_loader__single_frames_without_end(cache):
    """Three tracks in batches of two: every batch is full, every track comes."""
    store = open_store(cache / "lightly_marlin" / "demo-3x24")
    frames = FaceClips(store, num_frames=1, stride=1)
    batches = list(itertools.islice(clip_loader(frames, 2, seed=1), 6))
    for batch in batches:
        assert batch["video"].shape == (2, 3, 1, 224, 224)
        assert batch["video"].dtype == torch.uint8
        assert batch["regions"].shape == (2, 1, 28, 28)
    names = [name for batch in batches for name in batch["track_id"]]
    assert sorted(names) == sorted(4 * store.column("track_id"))


@pytest.mark.parametrize("workers", [0, 2])
def test_clip_loader__same_seed_same_frames(cache, workers):
    store = open_store(cache / "lightly_marlin" / "demo-3x24")
    frames = FaceClips(store, num_frames=1, stride=1)
    loaders = [
        clip_loader(frames, 2, seed=seed, num_workers=count)
        for seed, count in ((1, 0), (1, workers), (2, workers))
    ]
    first, again, other = (
        torch.cat([batch["video"] for batch in itertools.islice(loader, 3)])
        for loader in loaders
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
