import itertools

import pytest
import torch

from lightly_marlin.data import FaceClips, clip_loader
from lightly_marlin.demo import demo_store, open_store


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache in which the demo store of open_store has been made."""
    folder = tmp_path_factory.mktemp("cache")
    demo_store(folder / "lightly_marlin" / "demo-2x16", num_clips=2, num_frames=16)
    return folder


def test_clip_loader__single_frames_without_end(cache):
    """Two tracks in batches of three: every batch is full, every track comes."""
    store = open_store(cache / "lightly_marlin" / "demo-2x16")
    frames = FaceClips(store, num_frames=1, stride=1)
    batches = list(itertools.islice(clip_loader(frames, 3, seed=1), 4))
    for batch in batches:
        assert batch["video"].shape == (3, 3, 1, 224, 224)
        assert batch["video"].dtype == torch.uint8
        assert batch["regions"].shape == (3, 1, 28, 28)
    names = [name for batch in batches for name in batch["track_id"]]
    assert sorted(names) == sorted(6 * store.column("track_id"))


@pytest.mark.parametrize("workers", [0, 2])
def test_clip_loader__same_seed_same_frames(cache, workers):
    store = open_store(cache / "lightly_marlin" / "demo-2x16")
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
