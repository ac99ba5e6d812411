import os

import pytest

from lightly_marlin.data import FaceClips, demo_store
from lightly_marlin.utils.errors import UsageError


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("demo") / "deep" / "store"
    demo_store(path, num_clips=2, num_frames=24)
    return path


def test_demo_store_has_faces(path):
    store = demo_store(path, num_clips=2, num_frames=24)
    assert store.column("num_frames") == [24, 24]
    clip = FaceClips(store)[0]
    # Brows, eyes, nose, lips, skin and hair; a closed mouth may have no inside.
    labels = 0
    for bits in clip["regions"].flatten().tolist():
        labels |= bits
    assert bin(labels).count("1") >= 10


def test_demo_store_is_reused(path):
    before = os.stat(path / "index.parquet").st_mtime_ns
    demo_store(path, num_clips=2, num_frames=24)
    assert os.stat(path / "index.parquet").st_mtime_ns == before
    assert [entry.name for entry in path.parent.iterdir()] == ["store"]


def test_demo_store_other_options(path):
    assert demo_store(path, num_clips=1, num_frames=20).column("num_frames") == [20]
    demo_store(path, num_clips=2, num_frames=24)


def test_demo_store_elsewhere(tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(UsageError, match="is there already and is no demo store"):
        demo_store(tmp_path)
    with pytest.raises(UsageError, match="cannot be written"):
        demo_store(tmp_path / "mine.txt" / "store")
    with pytest.raises(ValueError, match="Invalid num_clips 0"):
        demo_store(tmp_path / "new", num_clips=0)


def test_demo_store_too_short(tmp_path):
    with pytest.raises(UsageError, match=r"demo_00\.mp4 gave no track"):
        demo_store(tmp_path / "new", num_clips=1, num_frames=10)
    assert not list(tmp_path.iterdir())
