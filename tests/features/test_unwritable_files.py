"""A file of features that cannot be written costs its video, never the run."""

import errno
import os

import numpy as np
import pyarrow.parquet as pq
import pytest

from lightly_marlin.features import ExtractionOptions, extract_folder
from lightly_marlin.features.feature_files import FeatureFile
from lightly_marlin.utils.errors import UsageError


@pytest.fixture
def clip(save, make_frames):
    return save("clip.mkv", make_frames(4))


@pytest.fixture
def add(tmp_path, clip):
    """Adds a video of a name to the folder."""

    def link(name):
        path = tmp_path / "videos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(clip, path)

    link("plain.mkv")
    return link


def extract(encoder, tmp_path, **options):
    summary = extract_folder(encoder, tmp_path / "videos", tmp_path / "out", **options)
    return {record.source: record for record in summary.records}


@pytest.mark.parametrize(
    "name",
    ["a" * 242 + ".mkv", "a" * 251 + ".mkv", "脸" * 81 + ".mkv", "é." * 83 + "mkv"],
)
def test_names_as_long_as_a_file_system_allows(name, add, tmp_path, encoder):
    assert 245 < len(os.fsencode(name)) <= 255
    add(name)
    for _ in range(2):
        record = extract(encoder, tmp_path)[name]
        assert (record.status, record.reason) == ("ok", None)
        assert np.load(tmp_path / "out" / record.file).shape == (1, 24)
    files = {path.suffix for path in (tmp_path / "out").iterdir()}
    assert files == {".npy", ".jsonl", ".json", ".parquet", ""}


def test_names_that_do_not_fit_with_the_new_suffix(add, tmp_path, encoder):
    name = "a" * 251 + ".mkv"
    add(name)
    options = {"file_format": "safetensors"}
    for _ in range(2):
        records = extract(encoder, tmp_path, **options)
        assert records["plain.mkv"].status == "ok"
        assert (records[name].status, records[name].file) == ("failed", None)
        assert records[name].reason.endswith("cannot be written: File name too long")
    index = pq.read_table(tmp_path / "out" / "index.parquet")
    assert index["source"].to_pylist() == ["plain.mkv"]
    # Under a name that fits, it is taken like any new video.
    (tmp_path / "videos" / name).rename(tmp_path / "videos" / "b.mkv")
    assert extract(encoder, tmp_path, **options)["b.mkv"].status == "ok"


@pytest.mark.parametrize("options", [{}, {"reduction": "mean"}])
def test_a_folder_where_the_file_should_be(options, add, tmp_path, encoder):
    add("a.mkv")
    (tmp_path / "out" / "a.npy").mkdir(parents=True)
    options = ExtractionOptions(**options)
    records = extract(encoder, tmp_path, options=options)
    assert records["plain.mkv"].status == "ok"
    assert records["a.mkv"].reason == "its file a.npy cannot be written: Is a directory"
    (tmp_path / "out" / "a.npy").rmdir()
    assert extract(encoder, tmp_path, options=options)["a.mkv"].status == "ok"


def test_a_file_where_the_folder_should_be(add, tmp_path, encoder):
    add("deep/a.mkv")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "deep").touch()
    records = extract(encoder, tmp_path)
    assert records["plain.mkv"].status == "ok"
    assert "deep/a.npy cannot be written" in records["deep/a.mkv"].reason


def test_a_folder_too_deep(add, tmp_path, encoder):
    """The output lies deeper than the videos, beyond what a path may be."""
    deep = "/".join(["d" * 250] * 15)
    (tmp_path / "videos" / deep).mkdir(parents=True)
    add(f"{deep}/a.mkv")
    out = tmp_path / ("x" * 240) / ("y" * 240) / "out"
    summary = extract_folder(encoder, tmp_path / "videos", out)
    records = {record.source: record for record in summary.records}
    assert records["plain.mkv"].status == "ok"
    assert "File name too long" in records[f"{deep}/a.mkv"].reason


def test_a_video_whose_name_is_that_of_another_ones_folder(add, tmp_path, encoder):
    add("a.mkv")
    add("a.npy/b.mkv")
    records = extract(encoder, tmp_path)
    assert {record.status for record in records.values()} == {"ok"}
    assert records["a.mkv"].file == "a.mkv.npy"


def refuse(monkeypatch, method, number):
    original = getattr(FeatureFile, method)

    def play(self, *arguments):
        if self.path.stem == "a":
            raise OSError(number, os.strerror(number))
        return original(self, *arguments)

    monkeypatch.setattr(FeatureFile, method, play)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EILSEQ, errno.EACCES])
@pytest.mark.parametrize("method", ["add", "close"])
def test_names_that_the_target_refuses(
    method, number, add, tmp_path, encoder, monkeypatch
):
    """As colons on NTFS, bytes that are no Unicode on APFS, a closed folder."""
    add("a.mkv")
    refuse(monkeypatch, method, number)
    records = extract(encoder, tmp_path, batch_size=1)
    assert records["plain.mkv"].status == "ok"
    assert records["a.mkv"].reason.endswith(os.strerror(number))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize("method", ["add", "close"])
def test_a_full_disk_ends_the_run(method, number, add, tmp_path, encoder, monkeypatch):
    """It is no fault of the video, and the next one would fail alike."""
    add("a.mkv")
    refuse(monkeypatch, method, number)
    with pytest.raises(UsageError, match=f"cannot be written: {os.strerror(number)}"):
        extract(encoder, tmp_path)
    monkeypatch.undo()
    records = extract(encoder, tmp_path)
    assert {record.status for record in records.values()} == {"ok"}
