import os
import posixpath

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightly_marlin.preparation import prepare_videos, read_manifest
from lightly_marlin.preparation.list_videos import list_videos
from lightly_marlin.utils.errors import UsageError


def write(path, *lines):
    path.write_text("\n".join(lines))
    return path


def test_text_manifest(tmp_path):
    lines = ["# mine", "", "a.mp4", " deep/b.mp4 ", "/data/c.mp4", "s3://bucket/d.mp4"]
    files = read_manifest(write(tmp_path / "list.txt", *lines, "../e.mp4"))
    assert {file.source: file.place for file in files} == {
        "a.mp4": f"{tmp_path}/a.mp4",
        "deep/b.mp4": f"{tmp_path}/deep/b.mp4",
        "data/c.mp4": "/data/c.mp4",
        "s3/bucket/d.mp4": "s3://bucket/d.mp4",
        "_/e.mp4": f"{tmp_path.parent}/e.mp4",
    }


def test_text_manifest_of_another_system(tmp_path):
    """A byte order mark and carriage returns, as editors write them."""
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbfa.mp4\r\nb.mp4\r\n")
    names = [file.source for file in read_manifest(tmp_path / "list.txt")]
    assert names == ["a.mp4", "b.mp4"]


def test_text_manifest_with_a_name_that_is_no_unicode(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"\xff.mp4\n")
    (file,) = read_manifest(tmp_path / "list.txt")
    assert file.source == "\\xff.mp4"
    assert os.fsencode(file.path.name) == b"\xff.mp4"


@pytest.mark.parametrize("column", ["video", "path", "url"])
def test_table_manifest(tmp_path, column):
    columns = {column: ["a.mp4", "x/b.mp4", None], "source": ["one", None, "three"]}
    pq.write_table(pa.table({**columns, "more": [1, 2, 3]}), tmp_path / "l.parquet")
    files = read_manifest(tmp_path / "l.parquet")
    assert [file.source for file in files] == ["one", "x/b.mp4"]
    assert files[0].path == tmp_path / "a.mp4"


NAMES = st.text("ab./", min_size=1).filter(
    lambda text: posixpath.normpath(text).strip("./")
)


@given(st.lists(NAMES, min_size=1, max_size=6), st.randoms())
def test_names_depend_on_their_line_alone(tmp_path_factory, names, random):
    """So lines may be added and sorted, and what is prepared stays prepared."""
    folder = tmp_path_factory.mktemp("lists")
    alone, places = {}, set()
    for name in names:
        (file,) = read_manifest(write(folder / "one.txt", name))
        assert not {"", ".", ".."} & {*file.source.split("/")}
        alone[file.source] = file
        places.add((file.source, file.place))
    random.shuffle(names)
    path = write(folder / "all.txt", *names)
    if len(places) > len(alone):
        with pytest.raises(UsageError, match="give two videos the name"):
            read_manifest(path)
        return
    files = read_manifest(path)
    assert {file.source: file for file in files} == alone


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["# nothing", ""], "has no videos"),
        (["a.mp4", "/a.mp4"], r"Lines 1 and 2 of .*list.txt give two videos .* a.mp4"),
        ([".."], "no_error"),
        (["/"], "gives a video the name ''"),
        (["a\0.mp4"], "it is no text"),
    ],
)
def test_bad_text_manifests(tmp_path, lines, message):
    path = write(tmp_path / "list.txt", *lines)
    if message == "no_error":
        # Named "_": a folder is reported when it is opened as a video.
        assert read_manifest(path)[0].source == "_"
        return
    with pytest.raises(UsageError, match=message):
        read_manifest(path)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"film": ["a"]}, "has no column video; it has film"),
        ({"video": [1]}, "Row 1 of the manifest .* has no text but 1"),
        ({"video": ["a"], "source": ["../a"]}, r"the name '\.\./a'"),
        ({"video": ["a"], "source": [""]}, "the name ''"),
        ({"video": ["a", "b"], "source": ["x", "x"]}, "Lines 1 and 2"),
    ],
)
def test_bad_table_manifests(tmp_path, columns, message):
    pq.write_table(pa.table(columns), tmp_path / "list.parquet")
    with pytest.raises(UsageError, match=message):
        read_manifest(tmp_path / "list.parquet")


def test_table_manifest_that_is_none(tmp_path):
    with pytest.raises(UsageError, match="is no Parquet file"):
        read_manifest(write(tmp_path / "list.parquet", "a.mp4"))


def test_line_that_repeats_counts_once(tmp_path):
    assert len(read_manifest(write(tmp_path / "list.txt", "a.mp4", "./a.mp4"))) == 1


def test_missing_line_is_a_failed_video(videos, tmp_path, fake_faces):
    path = write(tmp_path / "list.txt", "videos/a.mp4", "videos/gone.mp4")
    summary = prepare_videos(path, tmp_path / "store", num_workers=0)
    assert [(r.source, r.status, r.retry) for r in summary.records] == [
        ("videos/a.mp4", "ok", False),
        ("videos/gone.mp4", "failed", True),
    ]
    write(path, "videos/short.mp4", "videos/a.mp4")
    again = prepare_videos(path, tmp_path / "store", num_workers=0)
    assert again.num_finished_before == 1


def test_given_videos(videos, tmp_path, fake_faces):
    chosen = list(list_videos(videos).values())[:2]
    summary = prepare_videos(chosen, tmp_path / "store", num_workers=0)
    assert [record.source for record in summary.records] == ["a.mp4", "deep/a.mp4"]
    with pytest.raises(UsageError, match="the list is empty"):
        prepare_videos([], tmp_path / "store", num_workers=0)
