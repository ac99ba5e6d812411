"""What was opened by a relative path goes on after the directory was changed."""

import os
import shutil

import pytest
from torch.utils.data import DataLoader

from lightly_marlin.data import FaceClips
from lightly_marlin.features import extract_folder
from lightly_marlin.preparation import find_videos, prepare_videos
from lightly_marlin.store import FaceStore
from lightly_marlin.store.writer import StoreWriter
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.video import write_video


@pytest.fixture
def prepared(tmp_path, make_frames, fake_faces):
    """A folder of two videos and their store, below the current directory."""
    (tmp_path / "videos").mkdir()
    for number in range(2):
        path = tmp_path / "videos" / f"{number}.mp4"
        write_video(path, make_frames(20, 64, 64, seed=number))
    prepare_videos("videos", "store", num_workers=0)
    return tmp_path


@pytest.fixture
def leave(tmp_path, monkeypatch):
    """Changes the directory to an empty one."""

    def change():
        (tmp_path / "other").mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / "other")

    return change


def test_store_and_clips(prepared, leave):
    store, clips = FaceStore("store"), FaceClips("store")
    leave()
    assert store[0].frames.shape == (20, 224, 224, 3)
    assert store[1].landmarks.shape == (20, 68, 2)
    assert len(store.records()) == 2
    loader = DataLoader(clips, batch_size=2, num_workers=1)
    assert next(iter(loader))["video"].shape[0] == 2


def test_writer_and_videos(prepared, leave):
    files = find_videos("videos")
    writer = StoreWriter("store")
    leave()
    with writer:
        assert writer.unfinished_folder("2.mp4").is_dir()
        assert writer.path.is_absolute()
    assert all(file.path.is_file() for file in files)
    assert os.listdir() == []


class Wanderer:
    """A parser that changes the directory, as a tool that is wrapped may do."""

    def __call__(self, frames, boxes):
        os.chdir("/")
        return frames[..., 0] % 11


def test_preparation_while_the_directory_changes(prepared):
    summary = prepare_videos("videos", "more", num_workers=0, parser=Wanderer())
    assert [record.status for record in summary.records] == ["ok", "ok"]
    assert len(FaceStore(prepared / "more")) == 2


def test_features_while_the_directory_changes(prepared, leave, encoder):
    hook = encoder.register_forward_pre_hook(lambda *_: leave())
    summary = extract_folder(encoder, "videos", "out")
    hook.remove()
    assert os.listdir() == []
    assert summary.num_rows == 2
    assert (prepared / "out" / "1.npy").is_file()
    assert (prepared / "out" / "index.parquet").is_file()


def test_a_disk_that_is_away(prepared):
    """Whoever follows the advice loses nothing."""
    store = FaceStore("store")
    shutil.move("store", "away")
    for read in (lambda: store[0].frames, lambda: store[0].cells):
        with pytest.raises(UsageError, match="or its disk is missing") as caught:
            read()
        assert "elete" not in str(caught.value)
    with pytest.raises(UsageError, match=r"no such folder.* disk is connected"):
        FaceStore("store")
    shutil.move("away", "store")
    assert store[0].frames.shape[0] == 20


def test_a_lost_file_comes_back_as_the_advice_says(prepared):
    store = FaceStore("store")
    (store.path / store[0].row.video).unlink()
    with pytest.raises(UsageError, match="prepare the videos again into the same"):
        store[0].read_video([0])
    prepare_videos("videos", "store", num_workers=0)
    assert store[0].frames.shape[0] == 20
