import numpy as np
import pytest

from lightly_marlin.faces.crop import (
    crop_boxes,
    crop_face,
    landmarks_to_crop,
    landmarks_to_source,
)


@pytest.fixture
def frame():
    return np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)


def test_a_crop_of_its_own_size_is_a_copy(frame):
    crop = crop_face(frame, np.array([10, 20, 42, 52]), size=32)
    np.testing.assert_array_equal(crop, frame[20:52, 10:42])


def test_edges_are_repeated_outside_the_frame(frame):
    crop = crop_face(frame, np.array([-8, -8, 24, 24]), size=32)
    np.testing.assert_array_equal(crop[8:, 8:], frame[:24, :24])
    assert (crop[:8, :8] == frame[0, 0]).all()


def test_a_box_beside_the_frame_shows_its_edge(frame):
    crop = crop_face(frame, np.array([200, 0, 232, 32]), size=32)
    np.testing.assert_array_equal(crop, np.repeat(frame[:32, -1:], 32, axis=1))


def test_shrinking_averages_every_pixel():
    checkers = np.indices((256, 256)).sum(axis=0) % 2 * 200
    frame = np.repeat(checkers[..., None], 3, axis=-1).astype(np.uint8)
    crop = crop_face(frame, np.array([16, 16, 240, 240]), size=32)
    assert np.abs(crop.astype(int) - 100).max() <= 4


def test_a_pixel_lies_where_its_landmark_says():
    frame = np.zeros((200, 200, 3), np.uint8)
    frame[83, 61] = 255
    boxes = np.float32([[40, 50, 96, 106]])
    landmark = np.tile(np.float32([61, 83]), (1, 68, 1))
    x, y = landmarks_to_crop(landmark, boxes, size=224)[0, 0]
    bright = crop_face(frame, boxes[0], size=224)[..., 0].astype(float)
    rows, columns = np.nonzero(bright == bright.max())
    assert columns.mean() == pytest.approx(x, abs=0.5)
    assert rows.mean() == pytest.approx(y, abs=0.5)


@pytest.mark.parametrize("angle", [0.3, -1.2, 3.0])
def test_a_turned_crop_shows_a_landmark_where_it_says(angle):
    frame = np.zeros((200, 200, 3), np.uint8)
    frame[83:85, 61:63] = 255
    boxes = np.float32([[40, 50, 96, 106]])
    landmark = np.tile(np.float32([61.5, 83.5]), (1, 68, 1))
    angles = np.array([angle])
    x, y = landmarks_to_crop(landmark, boxes, 224, angles)[0, 0]
    weights = crop_face(frame, boxes[0], 224, angle)[..., 0].astype(float)
    rows, columns = np.mgrid[:224, :224]
    assert (weights * columns).sum() / weights.sum() == pytest.approx(x, abs=0.5)
    assert (weights * rows).sum() / weights.sum() == pytest.approx(y, abs=0.5)


@pytest.mark.parametrize("angles", [None, np.array([0.4, -2.0])])
def test_landmarks_come_back_to_the_source(angles, frontal_landmarks):
    landmarks = np.stack([frontal_landmarks, frontal_landmarks + 30])
    boxes = np.array([[10.0, 20, 200, 210], [-30.0, 40, 90, 160]])
    moved = landmarks_to_crop(landmarks, boxes, 224, angles)
    back = landmarks_to_source(moved, boxes, 224, angles)
    np.testing.assert_allclose(back, landmarks, atol=1e-3)


def test_a_crop_turned_by_a_quarter_is_the_frame_turned_back(frame):
    box = np.array([20, 10, 52, 42])
    crop = crop_face(frame, box, 32, np.pi / 2)
    np.testing.assert_allclose(crop, np.rot90(frame[10:42, 20:52]), atol=1)


def test_a_turned_crop_repeats_edges_and_averages():
    frame = np.full((64, 64, 3), 77, np.uint8)
    assert (crop_face(frame, np.array([-40, -40, 30, 30]), 32, 0.5) == 77).all()
    checkers = np.indices((256, 256)).sum(axis=0) % 2 * 200
    board = np.repeat(checkers[..., None], 3, axis=-1).astype(np.uint8)
    crop = crop_face(board, np.array([60, 60, 188, 188]), 16, 0.4)
    assert np.abs(crop.astype(int) - 100).max() <= 12


def test_eyes_are_levelled_and_the_box_moves_up_along_the_face(frontal_landmarks):
    moved = _moving(frontal_landmarks, np.full((20, 2), 300))
    upright, none = crop_boxes(moved, 900, 900)
    assert (none == 0).all()
    turn = np.array([[0.0, 1.0], [-1.0, 0.0]])
    middle = np.array([450.0, 450.0])
    boxes, angles = crop_boxes(
        (moved + 0.5 - middle) @ turn + middle - 0.5, 900, 900, align_eyes=True
    )
    np.testing.assert_allclose(angles, np.pi / 2, atol=1e-3)
    centres = [(b[:, :2] + b[:, 2:]) / 2 for b in (upright, boxes)]
    expected = (centres[0] - middle) @ turn + middle
    np.testing.assert_allclose(centres[1], expected, atol=0.6)


@pytest.mark.parametrize("box", [(0, 0, 0, 5), (5, 5, 1, 9), (0, 0, np.nan, 1), (1, 2)])
def test_no_box_no_crop(frame, box):
    with pytest.raises(ValueError, match="Invalid box"):
        crop_face(frame, np.array(box, float))


def test_a_size_below_one_is_rejected(frame):
    with pytest.raises(ValueError, match="Invalid size 0"):
        crop_face(frame, np.array([0, 0, 9, 9]), size=0)


def _moving(landmarks, offsets):
    return landmarks[None] + np.asarray(offsets, float)[:, None]


def test_crop_boxes_are_square_and_hold_the_landmarks(frontal_landmarks):
    moved = _moving(frontal_landmarks, np.full((20, 2), 300))
    x0, y0, x1, y1 = crop_boxes(moved, 900, 900)[0].T
    np.testing.assert_allclose(x1 - x0, y1 - y0, rtol=1e-4)
    assert (moved.min(axis=1) > np.stack([x0, y0], -1)).all()
    assert (moved.max(axis=1) < np.stack([x1, y1], -1)).all()


def test_crop_boxes_neither_jitter_nor_lag(frontal_landmarks):
    path = np.linspace([200, 300], [400, 320], 80)
    noise = np.random.default_rng(0).normal(scale=3, size=path.shape)
    steady = crop_boxes(_moving(frontal_landmarks, path), 900, 900)[0]
    shaken = crop_boxes(_moving(frontal_landmarks, path + noise), 900, 900)[0]
    lag = (shaken - steady)[:, :2].mean(axis=0)
    assert np.abs(lag).max() < 1.5
    jitter = np.abs(np.diff(shaken[:, :2], 2, axis=0)).mean()
    assert jitter < 0.1 * np.abs(np.diff(noise, 2, axis=0)).mean()


def test_a_closely_cropped_clip_gets_the_whole_frame(frontal_landmarks):
    landmarks = _moving(frontal_landmarks, np.full((16, 2), -8))
    boxes, _ = crop_boxes(landmarks, 200, 200)
    np.testing.assert_allclose(boxes, np.tile([0, 0, 200, 200], (16, 1)), atol=1e-3)


def test_a_crop_at_the_edge_moves_inwards_by_a_bounded_way(frontal_landmarks):
    far, _ = crop_boxes(_moving(frontal_landmarks, np.full((9, 2), 400)), 1200, 1200)
    near, _ = crop_boxes(_moving(frontal_landmarks, np.full((9, 2), -150)), 1200, 1200)
    side = far[0, 2] - far[0, 0]
    np.testing.assert_allclose(near - (far - 550), 0.12 * side, rtol=1e-3)
