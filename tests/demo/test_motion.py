import numpy as np
import pytest

from lightly_marlin.demo.motion import (
    camera_path,
    clip_generator,
    expression_curves,
    expression_path,
    lip_distance,
    wave,
)

SECONDS = np.arange(100) / 25


def test_waves_are_bounded_smooth_and_begin_alike():
    curve = wave(np.random.default_rng(0), SECONDS, 0.5, 1.0)
    assert np.abs(curve).max() <= 1
    assert np.abs(np.diff(curve)).max() <= 2 * np.pi / 25
    shorter = wave(np.random.default_rng(0), SECONDS[:10], 0.5, 1.0)
    np.testing.assert_allclose(shorter, curve[:10])


def test_cameras_stay_near_the_face():
    for seed in range(20):
        maps = camera_path(np.random.default_rng(seed), SECONDS)
        assert maps.shape == (100, 2, 3)
        zoom = np.sqrt(np.linalg.det(maps[:, :, :2]))
        assert np.abs(np.log(zoom)).max() < 0.14
        assert np.abs(maps[:, :, 2]).max() < 0.14


def _face():
    face = np.random.default_rng(0).normal(size=(68, 2))
    face[[37, 38, 43, 44]] = face[[41, 40, 47, 46]] - (0, 0.2)
    return face


def test_the_mouth_opens_and_the_eyes_close_now_and_then():
    face = _face()
    path = expression_path(face, np.random.default_rng(0), SECONDS)
    assert path.shape == (100, 68, 2)
    assert np.isfinite(path).all()
    opening = (path - face)[:, 66, 1] - (path - face)[:, 62, 1]
    assert opening.max() > 0.08
    lids = path[:, 41, 1] - path[:, 37, 1]
    assert lids.min() < 0.12 < 0.15 < np.median(lids)


def test_no_landmark_moves_far():
    face = _face()
    for seed in range(10):
        path = expression_path(face, np.random.default_rng(seed), SECONDS)
        assert np.abs(path - face).max() < 0.6


def test_expression_path__is_that_of_the_first_release():
    """Labels of the demo clips hold only as long as the clips are what they were."""
    face = np.random.default_rng(0).normal(size=(68, 2))
    generator = clip_generator(5, 3)
    path = expression_path(face, generator, np.arange(64) / 25)
    wanted = [
        [-0.3077085027640815, -0.5757793612764254, 1.3323186482880198],
        [-0.2538761346588194, -0.5841483316953417, 1.395498970632095],
        [-0.30000814519211016, -0.6116846067879333, 1.3412736686366222],
    ]
    np.testing.assert_allclose(path[[0, 31, 63]][:, [8, 48, 66], 1], wanted, rtol=1e-12)
    assert path.sum() == pytest.approx(641.6170568710379, rel=1e-12)
    # As many values were drawn: camera and light follow from the same generator.
    assert generator.random() == 0.9400228865889477


def test_expression_curves__lips_part_by_the_stated_distance():
    face = _face()
    path = expression_path(face, clip_generator(2, 0), SECONDS)
    curves = expression_curves(clip_generator(2, 0), SECONDS)
    gap = (path - face)[:, 66, 1] - (path - face)[:, 62, 1]
    # Both lips are as deep: turning and nodding do not part them.
    np.testing.assert_allclose(lip_distance(curves.opening), gap, atol=1e-12)


def test_expression_curves__are_in_their_ranges():
    for index in range(50):
        curves = expression_curves(clip_generator(index, 0), SECONDS)
        assert curves.opening.max() <= 0.8
        assert np.abs(curves.smile).max() <= 1
        assert -0.3 <= curves.brows.min() <= curves.brows.max() <= 1
        assert np.abs(curves.turn).max() <= 1
        assert np.abs(curves.nod).max() <= 0.8
        assert 0 <= curves.blink.min() <= curves.blink.max() <= 1
