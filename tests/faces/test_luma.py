import numpy as np
import pytest

from lightly_marlin.faces.luma import check_frame, luma_plane, resize_plane


def test_luma_has_the_weights_of_rec_601():
    frame = np.zeros((4, 6, 3), np.uint8)
    frame[:, :2, 0] = frame[:, 2:4, 1] = frame[:, 4:, 2] = 255
    plane, scale = luma_plane(frame, 100)
    assert scale == 1.0
    assert plane[0, ::2].tolist() == [76, 150, 29]


def test_large_frames_shrink_to_the_longest_side():
    plane, scale = luma_plane(np.full((100, 50, 3), 7, np.uint8), 40)
    assert plane.shape == (40, 20)
    assert scale == 0.4
    assert (plane == 7).all()


def test_frames_that_are_views_are_taken():
    frame = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    flipped, _ = luma_plane(frame[:, ::-1], 100)
    plane, _ = luma_plane(frame, 100)
    np.testing.assert_array_equal(flipped, plane[:, ::-1])


def test_resizing_keeps_at_least_one_pixel():
    assert resize_plane(np.zeros((1, 90), np.uint8), 0.1).shape == (1, 9)


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        [[0]],
    ],
)
def test_other_frames_are_rejected(frame):
    with pytest.raises(ValueError, match=r"Invalid frame .* must be a uint8 array"):
        check_frame(frame)
