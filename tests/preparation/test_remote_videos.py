"""Videos at URLs: `memory://`, which is in this process, and an S3 of this machine."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

from lightly_marlin.preparation import prepare_videos
from lightly_marlin.preparation.list_videos import list_videos
from lightly_marlin.preparation.remote_videos import (
    FetchError,
    fetch_video,
    remote_state,
)
from lightly_marlin.store import FaceStore
from lightly_marlin.utils.dependency import MissingExtraError
from lightly_marlin.utils.errors import UsageError

RECIPE = Path(__file__).parents[2] / "recipes" / "preprocess_faces.py"


@pytest.fixture
def memory(videos):
    """URL of the videos, in memory."""
    fs = fsspec.filesystem("memory")
    fs.put(str(videos), "/v", recursive=True)
    yield "memory://v"
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]


@pytest.fixture
def scratch(tmp_path):
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def sources(videos, **options):
    return list(list_videos(videos, **options))


ALL = ["a.mp4", "deep/a.mp4", "empty.mp4", "no face.mkv", "short.mp4", "text.mp4"]


def test_folder_file_and_glob(memory):
    assert sources(memory) == sources(f"{memory}/") == ALL
    assert sources(f"{memory}/a.mp4") == ["a.mp4"]
    assert sources(f"{memory}/n*.txt") == ["notes.txt"]
    assert sources(f"{memory}/**/*.mp4") == [name for name in ALL if name[-1] == "4"]
    assert sources(f"{memory}/*/a.mp4") == ["deep/a.mp4"]


def test_local_files_by_url(videos):
    assert sources(f"file://{videos}") == ALL


def test_manifest_at_a_url(memory):
    fsspec.filesystem("memory").pipe("/v/list.txt", b"a.mp4\ndeep/a.mp4\n")
    assert sources(f"{memory}/list.txt") == ["a.mp4", "deep/a.mp4"]
    with pytest.raises(UsageError, match=r"There is no manifest memory://v/no.txt"):
        sources(f"{memory}/no.txt")


def test_stores_and_hidden_files_are_left_out(memory):
    fs = fsspec.filesystem("memory")
    for name in ("s/index.parquet", "s/tracks/x/track_000.mov", ".h.mp4", ".d/x.mp4"):
        fs.pipe(f"/v/{name}", b"")
    fs.pipe("/v/out/shards/x.mp4", b"")
    assert sources(memory, exclude=f"{memory}/out") == ALL


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("memory://nothing", "There is no video at memory://nothing"),
        ("memory://texts", "There is no video at memory://texts"),
        ("memory://v/*.xyz", "There is no video at"),
        ("nosuch://v", "nosuch"),
        ("simplecache::memory://v", "a chain of file systems"),
    ],
)
def test_nothing_there(memory, url, message):
    fsspec.filesystem("memory").pipe("/texts/notes.txt", b"no video")
    with pytest.raises(UsageError, match=message):
        sources(url)


def test_missing_extra(memory, monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingExtraError, match=r"lightly-marlin\[remote\]"):
        sources("s3://bucket")


def test_prepared_as_local_files_are(memory, videos, tmp_path, scratch, fake_faces):
    local = prepare_videos(videos, tmp_path / "local", num_workers=0)
    far = prepare_videos(memory, tmp_path / "far", num_workers=0, scratch=scratch)
    assert [(r.source, r.status, r.rows) for r in far.records] == [
        (r.source, r.status, r.rows) for r in local.records
    ]
    assert far.records[0].path == "memory:///v/a.mp4"
    assert far.records[0].fingerprint["size"] == (videos / "a.mp4").stat().st_size
    assert list(scratch.iterdir()) == []
    again = prepare_videos(memory, tmp_path / "far", num_workers=0, scratch=scratch)
    assert again.num_finished_before == len(ALL)


def test_changed_video(memory, videos, tmp_path, fake_faces):
    prepare_videos(memory, tmp_path / "s", num_workers=0)
    fs = fsspec.filesystem("memory")
    fs.pipe("/v/a.mp4", (videos / "deep" / "a.mp4").read_bytes())
    again = prepare_videos(memory, tmp_path / "s", num_workers=0)
    assert again.num_finished_before == len(ALL) - 1
    assert FaceStore(tmp_path / "s").column("num_frames") == [24, 24]


def test_failed_fetch_is_tried_again(memory, tmp_path, scratch, fake_faces):
    path = tmp_path / "list.txt"
    path.write_text("memory://v/a.mp4\nmemory://v/late.mp4\n")
    first = prepare_videos(path, tmp_path / "s", num_workers=0, scratch=scratch)
    late = first.records[1]
    assert (late.status, late.retry) == ("failed", True)
    assert "memory://v/late.mp4 cannot be fetched: is gone" in late.reason
    fsspec.filesystem("memory").cp_file("/v/a.mp4", "/v/late.mp4")
    again = prepare_videos(path, tmp_path / "s", num_workers=0, scratch=scratch)
    assert [record.status for record in again.records] == ["ok", "ok"]
    assert list(scratch.iterdir()) == []


def test_fetch_cut_off(memory, tmp_path, monkeypatch):
    def half(self, path, file, **options):
        with open(file, "wb") as out:
            out.write(self.cat(path)[:100])

    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "get_file", half)
    with pytest.raises(FetchError, match=r"100 of \d+ bytes arrived"):
        fetch_video("memory://v/a.mp4", tmp_path / "a.mp4")


def test_scratch_is_full(memory, tmp_path, scratch, fake_faces, monkeypatch):
    def no_room(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "get_file", no_room)
    with pytest.raises(UsageError, match=r"scratch .*No space left.*\(--scratch\)"):
        prepare_videos(memory, tmp_path / "s", num_workers=0, scratch=scratch)
    assert list(scratch.iterdir()) == []


def test_scratch_is_a_file(memory, tmp_path, fake_faces):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"The scratch folder .*file"):
        prepare_videos(memory, tmp_path / "s", num_workers=0, scratch=tmp_path / "file")


def test_same_name_of_another_place(memory, tmp_path, fake_faces):
    fsspec.filesystem("memory").pipe("/w/a.mp4", b"another")
    prepare_videos(memory, tmp_path / "s", num_workers=0)
    with pytest.raises(UsageError, match=r"already holds a video a.mp4.*memory:///v/a"):
        prepare_videos("memory://w", tmp_path / "s", num_workers=0)


def test_s3_state(bucket, videos):
    import s3fs

    fs = s3fs.S3FileSystem()
    fs.put(str(videos), "bucket/v", recursive=True)
    files = list_videos("s3://bucket/v")
    assert list(files) == ALL
    for file in files.values():
        assert file.state == remote_state(file.url)
    assert files["a.mp4"].state.size == (videos / "a.mp4").stat().st_size
    # The tag of small objects is that of their content.
    assert len(files["a.mp4"].state.etag) == 32
    assert remote_state("s3://bucket/v/none.mp4").size is None


def test_s3_in_workers(bucket, videos, tmp_path, scratch, warm_python):
    """A process fetches for itself; what is no video there fails as it does here."""
    import s3fs

    s3fs.S3FileSystem().put(str(videos / "text.mp4"), "bucket/v/text.mp4")
    # A program of its own: workers have the environment of the first of them.
    options = ["--workers", "1", "--scratch", str(scratch), "--detector", "hog"]
    command = [warm_python, str(RECIPE), "s3://bucket/v", str(tmp_path / "s"), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "None of the 1 videos gave a face track" in done.stderr
    (folder,) = (tmp_path / "s" / "tracks").iterdir()
    record = json.loads((folder / "video.json").read_text())
    assert (record["source"], record["retry"]) == ("text.mp4", False)
    assert record["path"] == "s3://bucket/v/text.mp4"
    assert list(scratch.iterdir()) == []
