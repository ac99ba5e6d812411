import pytest

from lightly_marlin.demo import write_demo_videos


@pytest.mark.parametrize("name", ["num_clips", "num_frames"])
def test_write_demo_videos__at_least_one(name, tmp_path):
    with pytest.raises(ValueError, match=f"Invalid {name} 0: must be at least 1"):
        write_demo_videos(tmp_path / "videos", **{name: 0})
    assert not (tmp_path / "videos").exists()


def test_write_demo_videos__returns_the_paths(tmp_path):
    paths = write_demo_videos(tmp_path, num_clips=1, num_frames=2)
    assert paths == [tmp_path / "demo_00.mp4"]
    assert paths[0].stat().st_size > 0
