import numpy as np
import pytest

from lightly_marlin.faces.boxes import (
    box_inside,
    box_iou,
    box_overlap,
    box_side,
    face_boxes,
    match_boxes,
)


def test_iou_known_values():
    boxes = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6], [2, 0, 4, 2]])
    expected = [[1, 1 / 3, 0, 0]]
    np.testing.assert_allclose(box_iou(boxes[:1], boxes), expected)


def test_overlap_of_a_box_inside_another_is_one():
    inner, outer = np.array([[2, 2, 3, 3]]), np.array([[0, 0, 10, 10]])
    assert box_overlap(inner, outer) == pytest.approx(1.0)
    assert box_iou(inner, outer) == pytest.approx(0.01)


def test_empty_boxes_overlap_nothing():
    assert box_iou(np.zeros((1, 4)), np.zeros((1, 4))) == 0


def test_matching_takes_the_best_pair_first_and_each_box_once():
    first = np.array([[0, 0, 10, 10], [4, 0, 14, 10]])
    second = np.array([[3, 0, 13, 10], [50, 50, 60, 60]])
    assert match_boxes(first, second, min_iou=0.3) == [(1, 0)]


def test_matching_nothing():
    assert match_boxes(np.zeros((0, 4)), np.ones((2, 4)), min_iou=0.3) == []


def test_face_box_is_an_upright_square_of_the_same_size_for_a_tilted_face(
    frontal_landmarks,
):
    angle = np.deg2rad(40)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    tilted = (frontal_landmarks - 112) @ turn + 112
    boxes = face_boxes(np.stack([frontal_landmarks, tilted]))
    sides = boxes[:, 2:] - boxes[:, :2]
    np.testing.assert_allclose(sides, sides[0, 0])


def test_face_box_covers_brows_to_mouth(frontal_landmarks):
    x0, y0, x1, y1 = face_boxes(frontal_landmarks[None])[0]
    face = frontal_landmarks[17:]
    assert (face > (x0, y0)).all()
    assert (face < (x1, y1)).all()


def test_face_box_of_coinciding_landmarks_is_finite():
    assert np.isfinite(face_boxes(np.zeros((1, 68, 2)))).all()


@pytest.mark.parametrize(
    ("box", "share"),
    [((0, 0, 10, 10), 1), ((-5, 0, 5, 10), 0.5), ((20, 20, 30, 30), 0)],
)
def test_share_inside_the_frame(box, share):
    assert box_inside(np.array(box, float), height=15, width=15) == share


def test_side_is_the_mean_of_both():
    assert box_side(np.array([0, 0, 4, 8])) == 6
