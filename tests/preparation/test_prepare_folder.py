import errno
import json
import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lightly_marlin.preparation import prepare_videos
from lightly_marlin.store import FaceStore
from lightly_marlin.store.format import video_id
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.video import write_video


def states(store):
    """Path and modification time of every file below the tracks."""
    files = (store / "tracks").rglob("*")
    return {path: path.stat().st_mtime_ns for path in files if path.is_file()}


def statuses(summary):
    return {record.source: record.status for record in summary.records}


def test_prepare_videos_twice_does_nothing_twice(videos, tmp_path, fake_faces):
    store = tmp_path / "store"
    first = prepare_videos(videos, store, num_workers=0)
    before = states(store)
    second = prepare_videos(videos, store, num_workers=0)
    assert states(store) == before
    assert second.num_finished_before == 6
    assert second.num_frames == 0
    assert statuses(first) == statuses(second)


def test_prepare_videos_tries_again_what_may_pass(videos, tmp_path, fake_faces):
    """Damage stays, but a missing file may come back and a crash may have been luck."""
    (videos / "gone.mp4").symlink_to(tmp_path / "elsewhere.mp4")
    first = prepare_videos(videos, tmp_path / "store", num_workers=0)
    assert [record.source for record in first.records if record.retry] == ["gone.mp4"]
    second = prepare_videos(videos, tmp_path / "store", num_workers=0)
    assert second.num_finished_before == 6


def test_prepare_videos_keeps_tracks_when_a_retry_fails(videos, tmp_path, fake_faces):
    store = tmp_path / "store"
    prepare_videos(videos, store, num_workers=0)
    good = videos / "a.mp4"
    good.rename(tmp_path / "a.mp4")
    good.symlink_to(tmp_path / "nowhere.mp4")
    for _ in range(2):
        summary = prepare_videos(videos, store, num_workers=0)
        record = summary.records[0]
        assert (record.source, record.status, record.retry) == ("a.mp4", "ok", True)
        assert record.reason == (
            "the tracks of an earlier run were kept: cannot be opened: "
            "No such file or directory"
        )
        assert FaceStore(store)[0].frames.shape[0] == 40
        assert not list((store / "tracks").glob(".*"))
    good.unlink()
    (tmp_path / "a.mp4").rename(good)
    record = prepare_videos(videos, store, num_workers=0).records[0]
    assert (record.retry, record.reason) == (False, None)


def test_prepare_videos_another_pipeline(videos, tmp_path, fake_faces, monkeypatch):
    prepare_videos(videos, tmp_path / "store", num_workers=0)
    monkeypatch.setattr("lightly_marlin.store.crop_options.PIPELINE_VERSION", 0)
    again = prepare_videos(videos, tmp_path / "store", num_workers=0)
    assert again.num_finished_before == 0


def test_prepare_videos_changed_parser(videos, tmp_path, fake_faces):
    class Parser:
        fingerprint = "first"

        def __call__(self, frames, boxes):
            return frames[..., 0] * 0

    def run(parser):
        summary = prepare_videos(videos, tmp_path / "s", num_workers=0, parser=parser)
        return summary.num_finished_before

    parser = Parser()
    assert (run(parser), run(parser)) == (0, 6)
    parser.fingerprint = "second"
    assert (run(parser), run(None)) == (0, 0)


def test_prepare_videos_parser_without_pickle(videos, tmp_path):
    with pytest.raises(ValueError, match=r"Invalid parser <function .*num_workers=0"):
        prepare_videos(videos, tmp_path / "s", num_workers=1, parser=lambda f, b: f)
    assert not (tmp_path / "s").exists()


def test_prepare_videos_changed_video(videos, tmp_path, fake_faces, make_frames):
    store = tmp_path / "store"
    prepare_videos(videos, store, num_workers=0)
    write_video(videos / "a.mp4", make_frames(33))
    prepare_videos(videos, store, num_workers=0)
    assert FaceStore(store).column("num_frames") == [33, 24]
    assert not list((store / "tracks").glob(".*"))


def test_prepare_videos_changed_options(videos, tmp_path, fake_faces):
    store = tmp_path / "store"
    prepare_videos(videos, store, num_workers=0)
    again = prepare_videos(videos, store, num_workers=0, min_face=50)
    assert again.num_finished_before == 0


def test_prepare_videos_all_faces(tmp_path, fake_faces, make_frames):
    frames = make_frames(60)
    frames[20:24] = 0
    write_video(tmp_path / "a.mp4", frames)
    prepare_videos(tmp_path, tmp_path / "one", num_workers=0)
    prepare_videos(tmp_path, tmp_path / "all", num_workers=0, all_faces=True)
    one, every = FaceStore(tmp_path / "one"), FaceStore(tmp_path / "all")
    # The first store lies among the videos of the second run and is no input of it.
    assert one.column("start_frame") == [24]
    assert every.column("start_frame") == [0, 24]
    assert every.column("num_frames") == [20, 36]
    assert [name[-4:] for name in every.column("track_id")] == ["_000", "_001"]


NAMES = ["ж 脸 é.mp4", "new\nline 1.mp4", "a[1]*.mp4", "\udcff.mp4"]
NAMES += ["a" * 251 + ".mp4", "脸" * 81 + ".mp4"]  # As long as a name may be.


def test_prepare_videos_names(tmp_path, fake_faces, make_frames):
    folder = tmp_path / "videos"
    folder.mkdir()
    write_video(tmp_path / "a.mp4", make_frames(16))
    data = (tmp_path / "a.mp4").read_bytes()
    for name in NAMES:
        (folder / name).write_bytes(data)
    summary = prepare_videos(folder, tmp_path / "store", num_workers=0)
    store = FaceStore(tmp_path / "store")
    assert len(store) == len(NAMES)
    assert set(statuses(summary).values()) == {"ok"}
    assert {"ж 脸 é.mp4", "new\nline 1.mp4", "\\xff.mp4"} <= set(store.column("source"))
    assert all(track.frames.shape[0] == 16 for track in store)


def test_prepare_videos_store_inside_videos(videos, fake_faces):
    first = prepare_videos(videos, videos / "store", num_workers=0)
    second = prepare_videos(videos, videos / "store", num_workers=0)
    assert len(first.records) == len(second.records) == 6


def test_prepare_videos_half_finished(videos, tmp_path, fake_faces):
    """What a kill leaves behind is removed, and what is missing is rebuilt."""
    store = tmp_path / "store"
    prepare_videos(videos, store, num_workers=0)
    leftover = store / "tracks" / ".unfinished-x-123"
    shutil.copytree(store / "tracks" / video_id("a.mp4"), leftover)
    (leftover / "track_000.mov").write_bytes(b"half")
    (store / "tracks" / video_id("a.mp4") / "video.json").write_text('{"vers')
    (store / "index.parquet").unlink()
    (store / "report.json").unlink()
    again = prepare_videos(videos, store, num_workers=0)
    assert again.num_finished_before == 5
    assert not leftover.exists()
    assert len(FaceStore(store)) == 2
    assert json.loads((store / "report.json").read_text())["totals"]["ok"] == 2


def test_prepare_videos_other_version(videos, tmp_path, fake_faces):
    store = tmp_path / "store"
    prepare_videos(videos, store, num_workers=0)
    index = store / "index.parquet"
    pq.write_table(pq.read_table(index).replace_schema_metadata({}), index)
    (store / "tracks" / ".unfinished-theirs").mkdir()
    with pytest.raises(UsageError, match="of version unknown"):
        prepare_videos(videos, store, num_workers=0)
    assert (store / "tracks" / ".unfinished-theirs").exists()


def test_prepare_videos_strange_records(videos, tmp_path, fake_faces):
    """Copies of records under other names, and JSON that is none of ours."""
    store = tmp_path / "store"
    prepare_videos(videos, store, num_workers=0)
    good = store / "tracks" / video_id("a.mp4")
    shutil.copytree(good, good.with_name("copy"))
    for name, text in (("list", "[]"), ("null", "null"), ("number", '{"source": 3}')):
        good.with_name(name).mkdir()
        (good.with_name(name) / "video.json").write_text(text)
    assert prepare_videos(videos, store, num_workers=0).num_finished_before == 6
    assert len(FaceStore(store)) == 2


def test_prepare_videos_other_folder(videos, tmp_path, fake_faces, make_frames):
    """Stores go by relative path: two folders must not overwrite each other."""
    prepare_videos(videos, tmp_path / "store", num_workers=0)
    other = tmp_path / "other"
    other.mkdir()
    write_video(other / "a.mp4", make_frames(21))
    with pytest.raises(UsageError, match=r"already holds a video a\.mp4"):
        prepare_videos(other, tmp_path / "store", num_workers=0)


def test_prepare_videos_unwritable(videos, tmp_path, fake_faces):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"store .*file/store cannot be written"):
        prepare_videos(videos, tmp_path / "file" / "store", num_workers=0)
    with pytest.raises(UsageError, match="File name too long"):
        prepare_videos(videos, tmp_path / ("x" * 300), num_workers=0)
    with pytest.raises(UsageError, match="path of the store is empty"):
        prepare_videos(videos, "", num_workers=0)


def test_prepare_videos_one_writer_at_a_time(videos, tmp_path, fake_faces):
    from lightly_marlin.store.writer import StoreWriter

    with (
        StoreWriter(tmp_path / "store"),
        pytest.raises(UsageError, match="Another process is writing"),
    ):
        prepare_videos(videos, tmp_path / "store", num_workers=0)


def test_prepare_videos_invalid_options(videos, tmp_path):
    with pytest.raises(ValueError, match=r"Invalid min_face \(0\)"):
        prepare_videos(videos, tmp_path / "store", min_face=0)
    with pytest.raises(ValueError, match="Invalid num_workers -1"):
        prepare_videos(videos, tmp_path / "store", num_workers=-1)


def test_prepare_videos_custom_parser(videos, tmp_path, fake_faces):
    class NoFace:
        def __call__(self, frames, boxes):
            assert boxes.tolist() == [[0, 0, 224, 224]] * len(frames)
            return (frames[..., 0] * 0).astype("int8") - 1

    prepare_videos(videos, tmp_path / "store", num_workers=0, parser=NoFace())
    assert not FaceStore(tmp_path / "store")[0].cells.bits.any()


def test_prepare_videos_parser_fails(videos, tmp_path, fake_faces):
    def parser(frames, boxes):
        return frames[:1, ..., 0]

    summary = prepare_videos(videos, tmp_path / "store", num_workers=0, parser=parser)
    record = summary.with_status("failed")[0]
    assert record.reason.startswith(
        "unexpected ValueError: Invalid shape of the parser"
    )
    assert record.retry
    folder = tmp_path / "store" / "tracks" / video_id(record.source)
    assert [path.name for path in folder.iterdir()] == ["video.json"]


def only_folder(store):
    (folder,) = (store / "tracks").glob("a_*")
    return folder


def test_prepare_videos_a_file_where_the_folder_should_be(videos, tmp_path, fake_faces):
    store = tmp_path / "store"
    prepare_videos(videos / "a.mp4", store, num_workers=0)
    folder = only_folder(store)
    shutil.rmtree(folder)
    folder.write_text("not a folder")
    summary = prepare_videos(videos / "a.mp4", store, num_workers=0)
    assert [record.status for record in summary.records] == ["ok"]
    assert FaceStore(store)[0].frames.shape[0] == 40
    assert [path.name for path in (store / "tracks").iterdir()] == [folder.name]


def test_prepare_videos_a_folder_that_cannot_be_replaced(
    videos, tmp_path, fake_faces, monkeypatch
):
    """Root may rename anything, so the refusal is played."""
    store = tmp_path / "store"
    prepare_videos(videos / "a.mp4", store, num_workers=0)
    folder, rename = only_folder(store), Path.rename

    def refuse(self, target):
        if self == folder:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    os.utime(videos / "a.mp4", (0, 0))
    summary = prepare_videos(videos, store, num_workers=0)
    (record,) = (record for record in summary.records if record.source == "a.mp4")
    assert "earlier run were kept: " in record.reason
    assert record.reason.endswith("cannot be replaced: Permission denied")
    assert len(FaceStore(store)) == 2
    monkeypatch.undo()
    summary = prepare_videos(videos, store, num_workers=0)
    assert all("kept" not in (record.reason or "") for record in summary.records)
