import numpy as np

from lightly_marlin.faces.boxes import face_boxes
from lightly_marlin.faces.detection.dlib_models import DlibDetector, DlibLandmarks
from lightly_marlin.faces.landmarks.landmark_fit import fit_confidence, fit_spread
from lightly_marlin.faces.luma import luma_plane


def test_fits_agree_on_a_face_and_not_on_a_wall(portrait):
    plane, _ = luma_plane(portrait, 1440)
    predictor = DlibLandmarks()
    (face,) = DlibDetector()(plane)
    (landmarks,) = predictor(plane, face.box[None])
    assert fit_spread(predictor, plane, landmarks) < 0.01
    noise = np.random.default_rng(0).integers(0, 256, plane.shape, dtype=np.uint8)
    (anything,) = predictor(noise, face.box[None])
    assert fit_spread(predictor, noise, anything) > 0.03


class _Stubborn:
    """A predictor that answers with the same shape in whatever box."""

    def __call__(self, image, boxes):
        middle = np.array([[-1.0, 0.0], [1.0, 0.0]]).repeat(34, axis=0)
        sides = boxes[:, 2] - boxes[:, 0]
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        return centres[:, None] + sides[:, None, None] * middle / 4


def test_spread_is_the_mean_distance_in_sides_of_the_face(frontal_landmarks):
    plane = np.zeros((4, 4), np.uint8)
    side = np.ptp(face_boxes(frontal_landmarks[None])[0][[0, 2]])
    spread = fit_spread(_Stubborn(), plane, frontal_landmarks)
    box = face_boxes(frontal_landmarks[None])[0]
    starts = []
    for x, y, size in ((0.08, -0.05, 1.08), (-0.08, 0.05, 0.93)):
        centre = (box[:2] + box[2:]) / 2 + side * np.array([x, y])
        starts.append([*(centre - size * side / 2), *(centre + size * side / 2)])
    fits = np.stack([frontal_landmarks, *_Stubborn()(plane, np.array(starts))])
    distances = [
        np.hypot(*(fits[k, p] - fits[:, p].mean(axis=0)))
        for k in range(3)
        for p in range(68)
    ]
    assert np.isclose(spread, np.mean(distances) / side)


def test_confidence_falls_from_one_to_zero():
    spreads = np.array([0.0, 0.025, 0.05, 0.4, np.nan])
    np.testing.assert_allclose(fit_confidence(spreads), [1, 0.5, 0, 0, np.nan])
