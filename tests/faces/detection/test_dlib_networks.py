import numpy as np
import pytest
from PIL import Image

from lightly_marlin.faces.boxes import box_iou
from lightly_marlin.faces.detection.dlib_models import DlibDetector, DlibLandmarks
from lightly_marlin.faces.detection.dlib_networks import DlibCnnDetector, DlibEmbedder
from lightly_marlin.faces.luma import luma_plane


@pytest.fixture(scope="module")
def plane(portrait):
    return np.ascontiguousarray(luma_plane(portrait, 1440)[0][:180, 30:200])


def test_cnn_and_hog_find_the_same_face(plane):
    (face,) = DlibCnnDetector()(plane)
    (expected,) = DlibDetector()(plane)
    assert box_iou(face.box[None], expected.box[None])[0, 0] > 0.6
    assert face.score > 0.8


def test_cnn_finds_a_face_that_is_tilted(portrait):
    picture = Image.fromarray(portrait).convert("L")
    turned = np.array(picture.rotate(55, Image.Resampling.BILINEAR, center=(122, 122)))
    turned = np.ascontiguousarray(turned[30:214, 30:214])
    assert DlibDetector()(turned) == []
    assert len(DlibCnnDetector()(turned)) == 1


def test_cnn_sees_nothing_in_noise_and_in_next_to_nothing():
    noise = np.random.default_rng(0).integers(0, 256, (90, 90), dtype=np.uint8)
    assert DlibCnnDetector()(noise) == []
    assert DlibCnnDetector()(noise[:20]) == []
    with pytest.raises(ValueError, match=r"Invalid image .* must be uint8 luma"):
        DlibCnnDetector()(noise.astype(float))


def _embed(plane):
    (face,) = DlibDetector()(plane)
    (landmarks,) = DlibLandmarks()(plane, face.box[None])
    embedder = DlibEmbedder()
    return embedder(embedder.portrait(plane, landmarks))


def test_one_person_is_near_in_other_light_and_size(plane):
    reference = _embed(plane)
    assert reference.shape == (128,)
    assert 0.9 < np.linalg.norm(reference) < 1.7
    darker = _embed((plane * 0.6).astype(np.uint8))
    larger = Image.fromarray(plane).resize((255, 270), Image.Resampling.BICUBIC)
    for other in (darker, _embed(np.asarray(larger))):
        assert np.linalg.norm(reference - other) < 0.4


@pytest.mark.real_data
def test_two_people_are_far(plane, real_data):
    other = np.array(Image.open(real_data / "images" / "single_02.jpg").convert("L"))
    small = np.asarray(Image.fromarray(other).reduce(2))
    assert np.linalg.norm(_embed(plane) - _embed(small)) > 0.6
