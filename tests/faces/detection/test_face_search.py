import numpy as np
import pytest

from lightly_marlin.faces import Detection, FaceDetector
from lightly_marlin.faces.detection.face_search import look_at_chip, search_frame


class _Recorder(FaceDetector):
    """Sees a face of 80 pixels in the corner, and remembers what it was shown."""

    def __init__(self, *boxes, color=False, max_pixels=None):
        self.boxes = boxes or ([0.0, 0, 80, 80],)
        self.color = color
        self.max_pixels = max_pixels

    def detect(self, images, *, expected=False):
        (self.image,), self.expected = images, expected
        self.shape = self.image.shape
        return [[Detection(np.array(box), 1.0) for box in self.boxes]]


@pytest.mark.parametrize(
    ("min_face", "shape"), [(40, (200, 400)), (80, (100, 200)), (160, (50, 100))]
)
def test_the_plane_is_scaled_for_the_smallest_face(min_face, shape):
    detector = _Recorder()
    plane = np.zeros((100, 200), np.uint8)
    (face,) = search_frame(detector, plane, min_face, longest_side=1000)
    assert detector.shape == shape
    np.testing.assert_allclose(face.box, [0, 0, min_face, min_face])


def test_large_planes_are_enlarged_to_a_limit():
    detector = _Recorder()
    search_frame(detector, np.zeros((300, 600), np.uint8), 20, longest_side=900)
    assert detector.shape == (450, 900)
    detector = _Recorder(max_pixels=250_000)
    search_frame(detector, np.zeros((2000, 2000), np.uint8), 40, longest_side=1440)
    assert detector.shape == (500, 500)


def test_each_face_is_reported_once():
    detector = _Recorder([0.0, 0, 80, 80], [4.0, 4, 84, 84], [200.0, 0, 280, 80])
    found = search_frame(detector, np.zeros((300, 300), np.uint8), 80, 1440)
    assert [face.box[0] for face in found] == [0, 200]


def test_a_detector_of_color_sees_color_where_there_is_some():
    detector = _Recorder(color=True)
    frame = np.full((100, 200, 3), (200, 100, 0), np.uint8)
    plane = np.full((50, 100), 7, np.uint8)
    search_frame(detector, plane, 40, 1440, frame)
    assert detector.shape == (100, 200, 3)
    assert detector.image[3, 3].tolist() == [200, 100, 0]
    assert not detector.expected
    look_at_chip(detector, plane)
    assert detector.shape == (50, 100, 3)
    assert (detector.image == 7).all()
    assert detector.expected
