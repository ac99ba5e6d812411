import glob
import os
from pathlib import Path

import pytest

from lightly_marlin.preparation import find_videos
from lightly_marlin.store.format import video_id
from lightly_marlin.utils.errors import UsageError


@pytest.fixture
def folder(tmp_path):
    for name in ("b.mp4", "a/b.MKV", "a/b/c.webm", ".hidden.mp4", ".h/x.mp4", "n.txt"):
        path = tmp_path / "v" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "v"


def sources(videos, **options):
    return [file.source for file in find_videos(videos, **options)]


def test_find_videos_folder(folder):
    assert sources(folder) == ["a/b.MKV", "a/b/c.webm", "b.mp4"]
    assert sources(f"{folder}/") == sources(folder)


def test_find_videos_exclude(folder):
    assert sources(folder, exclude=folder / "a") == ["b.mp4"]


def test_find_videos_file_with_any_suffix(folder):
    assert sources(folder / "n.txt") == ["n.txt"]


def test_find_videos_glob(folder):
    assert sources(f"{folder}/*.mp4") == ["b.mp4"]
    assert sources(f"{folder}/**/*.[mMw]*") == ["a/b.MKV", "a/b/c.webm", "b.mp4"]
    assert sources(f"{folder}/a/*/*.webm") == ["b/c.webm"]


def test_find_videos_name_that_looks_like_a_glob(folder):
    (folder / "take[1].mp4").touch()
    assert sources(folder / "take[1].mp4") == ["take[1].mp4"]


def test_find_videos_folder_that_looks_like_a_video(folder):
    (folder / "odd.mp4").mkdir()
    (folder / "odd.mp4" / "in.mp4").touch()
    assert "odd.mp4/in.mp4" in sources(folder)
    assert "odd.mp4" not in sources(folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "There is no file or folder .*nowhere"),
        ("*.xyz", r"No file outside face stores matches the pattern .*\*\.xyz"),
        ("empty", "empty holds no video"),
    ],
)
def test_find_videos_nothing(folder, name, message):
    (folder / "empty").mkdir()
    with pytest.raises(UsageError, match=message):
        find_videos(folder / name)


def test_video_id_is_unique_and_stable():
    names = ["a.mp4", "a.mkv", "x/a.mp4", "a b.mp4", "a\nb.mp4", "脸.mp4", "é/脸.mp4"]
    identifiers = [video_id(name) for name in names]
    assert len(set(identifiers)) == len(names)
    assert all(name.isascii() and "/" not in name for name in identifiers)
    assert video_id("x/a.mp4") == "a_de623b2ceba9"
    assert len(video_id("y" * 300 + ".mp4")) < 60


def make_store(path):
    (path / "tracks" / "x").mkdir(parents=True)
    (path / "index.parquet").touch()
    (path / "tracks" / "x" / "track_000.mov").touch()


@pytest.mark.parametrize("part", ["", "tracks", "tracks/x"])
def test_find_videos_in_a_store(tmp_path, part):
    make_store(tmp_path / "s")
    for exclude in (None, tmp_path / "other"):
        with pytest.raises(UsageError, match=r"belongs to the face store .*/s, whose"):
            find_videos(tmp_path / "s" / part, exclude=exclude)
    if part:
        with pytest.raises(UsageError, match="belongs to the face store"):
            find_videos(tmp_path / "s" / part, exclude=tmp_path / "s")


def test_find_videos_beside_their_own_tracks(folder):
    make_store(folder)
    assert sources(folder, exclude=folder) == ["a/b.MKV", "a/b/c.webm", "b.mp4"]
    assert sources(folder / "a", exclude=folder) == ["b.MKV", "b/c.webm"]
    assert sources(f"{folder}/**/*.m*", exclude=folder) == ["b.mp4"]


def test_find_videos_glob_leaves_out_stores(folder):
    make_store(folder / "s")
    make_store(folder / "own")
    (folder / "own" / "index.parquet").unlink()
    found = sources(f"{folder}/**/*.m*", exclude=folder / "own")
    assert found == ["b.mp4"]
    with pytest.raises(UsageError, match="No file outside face stores matches"):
        find_videos(f"{folder}/s/*/*/*.mov")


def test_find_videos_unusable_names():
    with pytest.raises(UsageError, match="path of the videos is empty"):
        find_videos("")
    with pytest.raises(UsageError, match="xxx cannot be read: File name too long"):
        find_videos("x" * 300)


def test_find_videos_unreadable_folders(folder, monkeypatch):
    scandir, closed = os.scandir, [str(folder / "a")]

    def scan(path):
        if str(path) in closed:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scan)
    with pytest.warns(UserWarning, match=r"folder .*/a is left out: Permission denied"):
        assert sources(folder) == ["b.mp4"]
    closed.append(str(folder))
    with pytest.raises(UsageError, match="cannot be read: Permission denied"):
        find_videos(folder)


def test_find_videos_names_that_a_store_would_mix_up(folder):
    (folder / "a" / "\\xff.mp4").touch()
    (folder / "a" / "\udcff.mp4").touch()
    with pytest.warns(UserWarning, match="is left out: a store would mix it up"):
        assert sources(folder / "a") == ["\\xff.mp4", "b.MKV", "b/c.webm"]


def test_find_videos_pipe(folder):
    """In a folder it is found, to be reported; named alone it is a mistake."""
    os.mkfifo(folder / "pipe.mp4")
    assert "pipe.mp4" in sources(folder)
    with pytest.raises(UsageError, match=r"pipe\.mp4 is neither a file nor a folder"):
        find_videos(folder / "pipe.mp4")


def test_find_videos_links_in_a_circle(folder):
    (folder / "loop.mp4").symlink_to("loop.mp4")
    (folder / "a" / "again").symlink_to(folder)
    assert sources(folder) == ["a/b.MKV", "a/b/c.webm", "b.mp4", "loop.mp4"]


@pytest.fixture
def elsewhere(tmp_path):
    """A folder of videos outside the one that is searched."""
    (tmp_path / "disk" / "deep").mkdir(parents=True)
    for name in ("d.mp4", "deep/e.mp4"):
        (tmp_path / "disk" / name).touch()
    return tmp_path / "disk"


def test_find_videos_linked_folder(folder, elsewhere):
    (folder / "a" / "disk").symlink_to(elsewhere)
    own = ["a/b.MKV", "a/b/c.webm", "b.mp4"]
    linked = ["a/disk/d.mp4", "a/disk/deep/e.mp4"]
    assert sources(folder) == sorted(own + linked)
    assert sources(f"{folder}/**/*.mp4") == sorted([*linked, "b.mp4"])
    # A linked root, a link to a linked folder, and one that is relative.
    (folder / "a" / "disk").unlink()
    (folder / "again").symlink_to("a/disk")
    (folder / "a" / "disk").symlink_to(os.path.relpath(elsewhere, folder / "a"))
    (folder.parent / "root").symlink_to(folder)
    assert sources(folder.parent / "root") == sorted(
        [*own, "again/d.mp4", "again/deep/e.mp4"]
    )


def test_find_videos_lists_a_file_once(folder, elsewhere):
    """Where it lies, or by the path with the fewest links."""
    (folder / "0").symlink_to(folder / "a")
    (folder / "0.mp4").symlink_to(folder / "b.mp4")
    (folder / "a" / "short").symlink_to(elsewhere / "deep")
    (folder / "a" / "whole").symlink_to(elsewhere)
    (folder / "a" / "d.mp4").symlink_to(elsewhere / "d.mp4")
    expected = ["a/b.MKV", "a/b/c.webm", "a/d.mp4", "a/short/e.mp4", "b.mp4"]
    assert sources(folder) == expected
    assert sources(f"{folder}/**/*.[mMw]*") == expected
    # Hard links are files of their own.
    os.link(folder / "b.mp4", folder / "hard.mp4")
    assert "hard.mp4" in sources(folder)


def test_find_videos_links_upwards_and_to_themselves(folder, elsewhere):
    (folder / "a" / "up").symlink_to(folder.parent)
    (folder / "loop").symlink_to("loop")
    (folder / "gone").symlink_to("nowhere")
    (elsewhere / "back").symlink_to(folder / "a")
    assert sources(folder) == [
        "a/b.MKV",
        "a/b/c.webm",
        "a/up/disk/d.mp4",
        "a/up/disk/deep/e.mp4",
        "b.mp4",
    ]
    # From within, the links lead out of the folder and back into it.
    assert sources(folder / "a" / "b")[0] == "c.webm"


def test_find_videos_linked_stores_and_hidden_folders(folder, tmp_path):
    make_store(tmp_path / "s")
    (folder / "store").symlink_to(tmp_path / "s")
    (folder / "tracks").symlink_to(tmp_path / "s" / "tracks" / "x")
    (folder / "own").symlink_to(tmp_path / "mine")
    (tmp_path / "mine" / "tracks").mkdir(parents=True)
    (tmp_path / "mine" / "tracks" / "t.mov").touch()
    (folder / ".secret").symlink_to(folder / "a")
    own = ["a/b.MKV", "a/b/c.webm", "b.mp4"]
    assert sources(folder, exclude=tmp_path / "mine") == own


def test_find_videos_glob_with_links_in_circles(folder):
    """Each further circle would double the paths that are followed, forty times."""
    for name in "xyz":
        (folder / "a" / name).symlink_to(folder)
    expected = ["a/b.MKV", "a/b/c.webm", "b.mp4"]
    assert sources(f"{folder}/**/*.[mMw]*") == expected
    assert sources(f"{folder}/**/b/**/*") == ["a/b/c.webm"]
    assert sources(f"{folder}/a/**") == ["b.MKV", "b/c.webm", "x/b.mp4", "x/n.txt"]


@pytest.mark.parametrize(
    "pattern",
    ["**/*.mp4", "*/**/*.webm", "**/b/*", "a/**/c*", "**/**/*.MKV", "./**/b.*"],
)
def test_find_videos_glob_as_the_standard_library_has_it(pattern, folder, monkeypatch):
    monkeypatch.chdir(folder)
    found = {str(file.path) for file in find_videos(pattern)}
    listed = map(Path, glob.glob(pattern, recursive=True))
    assert found == {str(path.absolute()) for path in listed if path.is_file()}
