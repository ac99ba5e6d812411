"""Time of the first picture."""

import numpy as np
import pytest

from lightly_marlin.audio.picture_clock import first_picture_seconds
from lightly_marlin.utils.media import MediaError

BLACK = [np.zeros((64, 64, 3), np.uint8)] * 10


@pytest.mark.parametrize("first", [0, 5])
def test_first_picture_seconds__of_a_late_picture(tmp_path, write_recording, first):
    path = write_recording(
        tmp_path / "a.mkv", np.zeros(8000), pictures=BLACK, first_picture=first
    )
    assert first_picture_seconds(path) == pytest.approx(first / 25, abs=1e-3)


def test_first_picture_seconds__of_sound_alone(tmp_path, write_recording):
    assert (
        first_picture_seconds(write_recording(tmp_path / "a.wav", np.zeros(9))) is None
    )


def test_first_picture_seconds__of_no_file(tmp_path):
    with pytest.raises(MediaError, match=r"no\.mp4: cannot be opened: No such file"):
        first_picture_seconds(tmp_path / "no.mp4")
