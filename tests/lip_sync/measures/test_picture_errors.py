"""Errors of pictures: by hand, over batches, and of nothing."""

import numpy as np
import pytest

from lightly_marlin.lip_sync import PictureErrors
from lightly_marlin.lip_sync.measures.same_moments import Moment


def moment(seed, error=0, side=16):
    """Random pictures; the lower half of the generated crop is brighter by `error`."""
    random = np.random.default_rng(seed)
    frame = random.integers(0, 200, (20, 30, 3), dtype=np.uint8)
    crop = random.integers(0, 200, (side, side, 3), dtype=np.uint8)
    made = crop.copy()
    made[side // 2 :] += np.uint8(error)
    return Moment(frame, frame + np.uint8(error // 2), crop, made)


def test_errors__by_hand_over_several_batches():
    errors = PictureErrors()
    for number in range(19):
        errors.update(moment(number, error=51 if number < 10 else 0))
    found = errors.compute()
    share = 10 / 19
    assert found["l1_mouth"] == pytest.approx(0.2 * share)
    assert found["l1_face"] == pytest.approx(0.1 * share)
    assert found["l1_frame"] == pytest.approx(25 / 255 * share)
    assert 0.5 < found["ssim_face"] < 1


def test_errors__of_a_video_and_itself():
    errors = PictureErrors()
    errors.update(moment(0))
    expected = {"l1_mouth": 0, "l1_face": 0, "l1_frame": 0, "ssim_face": 1}
    assert errors.compute() == pytest.approx(expected)


def test_errors__without_a_picture_or_of_two_sizes():
    errors = PictureErrors()
    with pytest.raises(ValueError, match="no picture to compare"):
        errors.compute()
    odd = moment(0)._replace(generated_crop=None)
    with pytest.raises(ValueError, match=r"Invalid shape \(20, 30, 3\)"):
        errors.update(odd)
