import time

import pytest

from lightly_marlin.evaluation.labels.joining import join_videos, posix_path
from lightly_marlin.utils.errors import UsageError


@pytest.mark.parametrize(
    ("video", "sources", "wanted"),
    [
        # The equal path wins over others that end in it.
        ("a/b.mp4", ["x/a/b.mp4", "a/b.mp4"], "a/b.mp4"),
        ("b.mp4", ["x/a/b.mp4", "x/a/c.mp4"], "x/a/b.mp4"),
        ("a/b.mp4", ["x/a/b.mp4", "x/y/b.mp4"], "x/a/b.mp4"),
        ("a/b", ["a/b.mp4", "x/a/b.mp4"], "a/b.mp4"),
        ("b", ["x/b.mp4", "x/bb.mp4"], "x/b.mp4"),
        # One letter, composed by Linux and decomposed by macOS.
        ("ren\u00e9.mp4", ["x/rene\u0301.mp4"], "x/rene\u0301.mp4"),
        ("rene\u0301", ["ren\u00e9.mp4"], "ren\u00e9.mp4"),
        # A full stop in a name is no suffix of a label.
        ("clip.01", ["clip.01.mp4", "clip.02.mp4"], "clip.01.mp4"),
        ("./a//b.mp4", ["a/b.mp4"], "a/b.mp4"),
        ("a\\b.mp4", ["x/a/b.mp4"], "x/a/b.mp4"),
        ("/data/videos/a/b.mp4", ["a/b.mp4", "c/b.mp4"], "a/b.mp4"),
        ("C:\\videos\\a\\b.mp4", ["a/b.mp4"], "a/b.mp4"),
        ("/data/b.mp4", ["/data/b.mp4", "b.mp4"], "/data/b.mp4"),
    ],
)
def test_join_videos__finds_the_source(video, sources, wanted):
    assert join_videos([video], sources) == [wanted]


@pytest.mark.parametrize(
    ("video", "source"),
    [
        ("b.mp4", "ab.mp4"),  # no border of a folder
        ("b.mp4", "b.avi"),  # another file
        ("b.mp4", "b.mp4/c.mp4"),
        ("videos/b.mp4", "b.mp4"),  # a relative path may be another folder's
        ("/data/xb.mp4", "b.mp4"),
        ("B.mp4", "b.mp4"),
        ("mp4", "b.mp4"),
    ],
)
def test_join_videos__none_where_nothing_fits(video, source):
    assert join_videos([video], [source]) == [None]


@pytest.mark.parametrize(
    ("video", "sources"),
    [
        ("b.mp4", ["x/b.mp4", "y/b.mp4", "z/b.mp4"]),
        ("b", ["b.mp4", "b.avi"]),
        ("b", ["x/b.mp4", "y/b.mp4"]),
        ("/data/a/b.mp4", ["a/b.mp4", "b.mp4"]),
    ],
)
def test_join_videos__several_are_an_error(video, sources):
    text = f"{video!r} of the labels fits several sources: {sources[0]!r} and "
    with pytest.raises(UsageError, match=text):
        join_videos([video], sources)


def test_join_videos__several_tracks_of_one_source_are_one():
    assert join_videos(["b.mp4"], ["x/b.mp4", "x/b.mp4"]) == ["x/b.mp4"]


def test_join_videos__keeps_the_order_of_the_videos():
    videos = ["c", "a", "missing", "a"]
    assert join_videos(videos, ["a.mp4", "c.mp4"]) == ["c.mp4", "a.mp4", None, "a.mp4"]


def test_join_videos__is_linear_with_equal_names():
    """40,000 videos that are all called video.mp4 make a billion pairs."""
    sources = [f"set/p{number:05d}/video.mp4" for number in range(40_000)]
    videos = [f"p{number:05d}/video.mp4" for number in reversed(range(40_000))]
    started = time.monotonic()
    assert join_videos(videos, sources) == sources[::-1]
    assert time.monotonic() - started < 10


def test_posix_path__known_values():
    assert posix_path("a\\b.mp4") == "a/b.mp4"
    assert posix_path("./a/./b.mp4") == "a/b.mp4"
    assert posix_path("a.mp4") == "a.mp4"
