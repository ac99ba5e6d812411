"""Moments of two videos: the same times, the same boxes, whatever their rates."""

import numpy as np
import pytest

from lightly_marlin.lip_sync import PlacedFace, TalkingFace
from lightly_marlin.lip_sync.measures.same_moments import (
    num_common_moments,
    same_moments,
)
from lightly_marlin.video import VideoError, write_video

SIDE = 32


def grey_frames(levels, height=64, width=96):
    """Frames of one grey each, brighter on the right half by 40."""
    frames = np.zeros((len(levels), height, width, 3), np.uint8)
    frames[:] = np.asarray(levels, np.uint8)[:, None, None, None]
    frames[:, :, width // 2 :] += 40
    return frames


def placed(count, fps, first=0, shown=None):
    """A face on the right half of the frame, seen from a frame at 25 fps on."""
    shown = count - first if shown is None else shown
    face = TalkingFace(
        np.full((shown, SIDE, SIDE, 3), 7, np.uint8), np.zeros(640 * shown), first / 25
    )
    boxes = np.tile(np.float32([56, 16, 88, 48]), (shown, 1))
    return PlacedFace(face, boxes, np.zeros(shown), np.arange(count) / fps, fps)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("moments")

    def write(name, levels, fps, **size):
        path = folder / f"{name}.mp4"
        write_video(path, grey_frames(levels, **size), fps)
        return path

    return write


def levels_of(pictures):
    return [round(float(picture[:, :40].mean()), -1) for picture in pictures]


def test_same_moments__at_half_the_rate(written):
    """A real face from frame 2 on, beside a video of 12.5 frames per second."""
    real = written("real", [20 * n for n in range(8)], 25)
    slow = written("slow", [0, 40, 80], 12.5)
    faces = placed(8, 25, first=2), placed(3, 12.5)
    assert num_common_moments(*faces) == 4
    moments = list(same_moments(real, faces[0], slow, faces[1]))
    assert levels_of(m.real for m in moments) == [40, 60, 80, 100]
    assert levels_of(m.generated for m in moments) == [40, 40, 80, 80]
    for moment in moments:
        assert moment.real_crop is not None
        assert moment.real_crop[0, 0, 0] == 7
        # Cut out of the right half, where the frame is brighter.
        brighter = moment.generated_crop.mean() - moment.generated[:, :40].mean()
        assert brighter == pytest.approx(40, abs=6)


def test_same_moments__of_another_size_have_no_crop(written):
    real, small = written("a", [50] * 3, 25), written("b", [50] * 3, 25, height=48)
    (moment, *_) = same_moments(real, placed(3, 25), small, placed(3, 25))
    assert moment.generated.shape == (48, 96, 3)
    assert moment.generated_crop is None


def test_same_moments__none_in_common(written):
    real, short = written("long", [50] * 9, 25), written("short", [50] * 2, 25)
    faces = placed(9, 25, first=5), placed(2, 25)
    assert num_common_moments(*faces) == 0
    assert list(same_moments(real, faces[0], short, faces[1])) == []


def test_same_moments__a_file_that_became_shorter(written):
    real, short = written("kept", [50] * 6, 25), written("cut", [50] * 4, 25)
    with pytest.raises(VideoError, match="it changed while it was read"):
        list(same_moments(real, placed(6, 25), short, placed(6, 25)))
