"""Pairs of videos: partners by path, whatever the suffix, and those without one."""

import pytest

from lightly_marlin.lip_sync import pair_videos
from lightly_marlin.utils.errors import UsageError


@pytest.fixture
def folders(tmp_path):
    """Makes files below two folders."""

    def make(real, generated):
        made = []
        for folder, names in (("real", real), ("generated", generated)):
            made.append(tmp_path / folder)
            for name in names:
                path = made[-1] / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
        return made

    return make


def test_pair_videos__by_path_without_suffix(folders):
    real, generated = folders(
        ["b.mp4", "x/a.v2.mp4", "x/alone.mp4", "notes.txt"],
        ["x/a.v2.mkv", "b.mp4", "a.v2.mkv"],
    )
    videos = pair_videos(real, generated)
    assert videos.pairs == [
        ("b", real / "b.mp4", generated / "b.mp4"),
        ("x/a.v2", real / "x" / "a.v2.mp4", generated / "x" / "a.v2.mkv"),
    ]
    assert (videos.only_real, videos.only_generated) == (["x/alone"], ["a.v2"])


def test_pair_videos__mistakes(folders, tmp_path):
    real, generated = folders(["a.mp4"], ["b.mp4", "x/c.mp4"])
    with pytest.raises(UsageError, match=r"No video of .*generated b, real a\. Name"):
        pair_videos(real, generated)
    with pytest.raises(UsageError, match=r"a\.mp4 is no folder"):
        pair_videos(real / "a.mp4", generated)
    real, generated = folders(["a.mp4"], ["a.mp4", "a.mkv"])
    with pytest.raises(UsageError, match=r"holds a\.mkv and a\.mp4 of one name, a:"):
        pair_videos(real, generated)
