import pytest

from lightly_marlin.data import find_videos
from lightly_marlin.data.store_format import video_id
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
        ("*.xyz", r"No file matches the pattern .*\*\.xyz"),
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
