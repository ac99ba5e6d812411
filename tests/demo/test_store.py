import json
import os
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from lightly_marlin.data import FaceClips
from lightly_marlin.demo import demo_store
from lightly_marlin.demo.speech import speech
from lightly_marlin.store.format import INDEX_NAME, VERSION_KEY
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
    with pytest.raises(UsageError, match="holds more than a demo store"):
        demo_store(tmp_path)
    with pytest.raises(UsageError, match="cannot be written: File name too long"):
        demo_store("x" * 300)
    with pytest.raises(UsageError, match="cannot be written"):
        demo_store(tmp_path / "mine.txt" / "store")
    with pytest.raises(ValueError, match="Invalid num_clips 0"):
        demo_store(tmp_path / "new", num_clips=0)


def test_demo_store_with_more_in_it_stays(path, tmp_path):
    for name in ("file", "video"):
        shutil.copytree(path, tmp_path / name)
    (tmp_path / "file" / "notes.txt").touch()
    (tmp_path / "video" / "tracks" / "holiday_0123456789ab").mkdir()
    for name in ("file", "video"):
        with pytest.raises(UsageError, match="holds more than a demo store"):
            demo_store(tmp_path / name, num_clips=1, num_frames=20)
        assert (tmp_path / name / "index.parquet").exists()


def test_demo_store_of_an_earlier_version_is_made_anew(path, tmp_path):
    """It lies in a user's cache; the index of another version cannot be read."""
    old = tmp_path / "old"
    shutil.copytree(path, old)
    mark = json.loads((old / "demo.json").read_text())
    (old / "demo.json").write_text(json.dumps({**mark, "version": 1}))
    table = pq.read_table(old / "index.parquet").select(["track_id"])
    pq.write_table(table.replace_schema_metadata({VERSION_KEY: b"1"}), old / INDEX_NAME)
    assert len(demo_store(old, num_clips=1, num_frames=20)) == 1


def test_demo_store_too_short(tmp_path):
    with pytest.raises(UsageError, match=r"demo_00\.mp4 gave no track"):
        demo_store(tmp_path / "new", num_clips=1, num_frames=10)
    assert not list(tmp_path.iterdir())


def test_demo_store_that_talks(tmp_path):
    options = {"num_clips": 2, "num_frames": 24}
    store = demo_store(tmp_path / "new", **options, audio=True)
    assert store.column("source") == ["talking_00.mp4", "talking_01.mp4"]
    assert store.column("num_samples") == [24 * 640] * 2
    for index, clip in enumerate(FaceClips(store, stride=1, start="first", audio=True)):
        wanted = speech(index, 24)[: 16 * 640]
        assert np.corrcoef(clip["audio"], wanted)[0, 1] > 0.95
    before = os.stat(store.path / "index.parquet").st_mtime_ns
    demo_store(tmp_path / "new", **options, audio=True)
    assert os.stat(store.path / "index.parquet").st_mtime_ns == before
    # Silent clips are another demo store, which may replace it.
    assert not demo_store(tmp_path / "new", **options).tracks_with_audio()
