import numpy as np
import pytest

from lightly_marlin.audio import read_audio
from lightly_marlin.demo import write_demo_videos
from lightly_marlin.demo.speech import speech


@pytest.mark.parametrize("name", ["num_clips", "num_frames"])
def test_write_demo_videos__at_least_one(name, tmp_path):
    with pytest.raises(ValueError, match=f"Invalid {name} 0: must be at least 1"):
        write_demo_videos(tmp_path / "videos", **{name: 0})
    assert not (tmp_path / "videos").exists()


def test_write_demo_videos__returns_the_paths(tmp_path):
    paths = write_demo_videos(tmp_path, num_clips=1, num_frames=2)
    assert paths == [tmp_path / "demo_00.mp4"]
    assert paths[0].stat().st_size > 0


def test_write_demo_videos__talking(tmp_path):
    (path,) = write_demo_videos(tmp_path, num_clips=1, num_frames=20, talking=True)
    assert path == tmp_path / "talking_00.mp4"
    samples, start = read_audio(path)
    wanted = speech(0, 20)
    heard = samples[round(-start * 16000) :][: len(wanted)]
    assert np.corrcoef(heard, wanted)[0, 1] > 0.95
