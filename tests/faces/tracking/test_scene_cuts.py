import numpy as np

from lightly_marlin.faces.tracking.scene_cuts import SceneCuts


def _blobs(seed):
    """A picture of coarse blobs: another seed is another scene."""
    coarse = np.random.default_rng(seed).integers(20, 235, (6, 8), dtype=np.uint8)
    return np.kron(coarse, np.ones((20, 20), np.uint8))


def _cuts(planes):
    cuts = SceneCuts()
    return [cuts.update(plane) for plane in planes]


def test_another_picture_is_a_cut():
    first, second = _blobs(0), _blobs(1)
    assert _cuts([first, first, second, second]) == [False, False, True, False]


def test_a_fade_from_black_is_no_cut():
    scene = _blobs(0)
    planes = [(scene * share).astype(np.uint8) for share in np.linspace(0, 1, 12)]
    assert not any(_cuts(planes))


def test_a_flash_is_no_cut():
    scene = _blobs(0)
    flash = np.clip(scene.astype(int) + 60, 0, 255).astype(np.uint8)
    assert not any(_cuts([scene, flash, scene]))


def test_noise_in_the_dark_is_no_cut():
    generator = np.random.default_rng(0)
    planes = [generator.integers(0, 9, (90, 120), dtype=np.uint8) for _ in range(4)]
    assert not any(_cuts(planes))


def test_a_cut_to_black_and_back_is_two_cuts():
    scene, black = _blobs(0), np.zeros((120, 160), np.uint8)
    assert _cuts([scene, black, black, scene]) == [False, True, False, True]


def test_a_moving_camera_is_no_cut():
    wide = np.tile(_blobs(0), (1, 2))
    assert not any(_cuts([wide[:, 5 * i : 5 * i + 160] for i in range(12)]))
