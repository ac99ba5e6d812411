import numpy as np

from lightly_marlin.demo.motion import camera_path, expression_path, wave

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
