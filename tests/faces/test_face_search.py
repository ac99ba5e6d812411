import numpy as np
import pytest

from lightly_marlin.faces.dlib_models import Detection
from lightly_marlin.faces.face_search import search_with_cnn, search_with_hog


class _Recorder:
    """Sees a face of 80 pixels in the corner, and remembers the size of the image."""

    def __init__(self, *boxes):
        self.boxes = boxes or ([0.0, 0, 80, 80],)

    def __call__(self, image):
        self.shape = image.shape
        return [Detection(np.array(box), 1.0) for box in self.boxes]


@pytest.mark.parametrize(
    ("min_face", "shape"), [(40, (200, 400)), (80, (100, 200)), (160, (50, 100))]
)
def test_the_plane_is_scaled_for_the_smallest_face(min_face, shape):
    detector = _Recorder()
    plane = np.zeros((100, 200), np.uint8)
    (face,) = search_with_hog(detector, plane, min_face, longest_side=1000)
    assert detector.shape == shape
    np.testing.assert_allclose(face.box, [0, 0, min_face, min_face])


def test_large_planes_are_enlarged_to_a_limit():
    detector = _Recorder()
    search_with_hog(detector, np.zeros((300, 600), np.uint8), 20, longest_side=900)
    assert detector.shape == (450, 900)
    search_with_cnn(detector, np.zeros((2000, 2000), np.uint8), 40)
    assert detector.shape == (500, 500)


def test_the_cnn_reports_each_face_once():
    detector = _Recorder([0.0, 0, 80, 80], [4.0, 4, 84, 84], [200.0, 0, 280, 80])
    found = search_with_cnn(detector, np.zeros((300, 300), np.uint8), 80)
    assert [face.box[0] for face in found] == [0, 200]
