import numpy as np
import pytest
from PIL import Image

from lightly_marlin.faces import DlibDetector, DlibLandmarks, DlibTracker
from lightly_marlin.faces.detection.dlib_models import model_file


@pytest.fixture(scope="module")
def luma(portrait):
    return np.asarray(Image.fromarray(portrait).convert("L"))


def test_the_detector_finds_the_face_and_nothing_else(luma):
    (face,) = DlibDetector()(luma)
    np.testing.assert_allclose(face.box, [75, 75, 170, 170], atol=15)
    assert face.score > 0.5


def test_nothing_is_found_in_noise_or_in_a_picture_too_small(luma):
    noise = np.random.default_rng(0).integers(0, 256, (120, 120), dtype=np.uint8)
    assert DlibDetector()(noise) == []
    assert DlibDetector()(luma[:20, :20]) == []


def test_landmarks_are_ordered_as_the_regions_expect(luma):
    (face,) = DlibDetector()(luma)
    landmarks = DlibLandmarks()(luma, face.box[None])
    assert landmarks.shape == (1, 68, 2)
    left_eye, right_eye = landmarks[0, 36:42], landmarks[0, 42:48]
    mouth, chin = landmarks[0, 48:], landmarks[0, 8]
    assert left_eye[:, 0].max() < right_eye[:, 0].min()
    assert left_eye[:, 1].max() < mouth[:, 1].min() < chin[1]


def test_landmarks_of_boxes_outside_the_picture_are_finite(luma):
    boxes = np.array([[-900.0, -900, -800, -800], [0, 0, 0, 0]])
    assert np.isfinite(DlibLandmarks()(luma, boxes)).all()


def test_the_tracker_follows_a_shift(luma):
    tracker = DlibTracker(luma, np.array([75.0, 75, 170, 170]))
    certainty = tracker.update(np.roll(luma, (5, 8), axis=(0, 1)))
    assert certainty > 7
    np.testing.assert_allclose(tracker.box, [83, 80, 178, 175], atol=3)


def test_colour_is_rejected(portrait):
    with pytest.raises(ValueError, match="must be uint8 luma"):
        DlibDetector()(portrait)


def test_a_missing_model_file_is_named():
    with pytest.raises(FileNotFoundError, match=r"No model file nothing\.dat"):
        model_file("nothing.dat")
