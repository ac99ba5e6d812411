"""Detectors by name: built in, registered, and entries of packages."""

import pickle

import numpy as np
import pytest

from lightly_marlin.faces import (
    Detection,
    FaceDetector,
    FaceFinder,
    find_faces,
    register_detector,
    unregister_detector,
)
from lightly_marlin.faces.detection.detector_registry import (
    detector_names,
    is_detector_name,
    load_detectors,
)
from lightly_marlin.store import CropOptions
from lightly_marlin.utils.errors import UsageError

PLUGIN = """
from lightly_marlin.faces import DlibDetector

class Detector(DlibDetector):
    fingerprint = "1"

def nothing():
    return None
"""


class Fixed(FaceDetector):
    """Sees the astronaut's face in whole frames, and in the middle of chips."""

    smallest_face = 40.0
    color = True

    def __init__(self):
        self.shapes = []

    def detect(self, images, *, expected=False):
        self.shapes.append((images.shape[1:], expected))
        size = np.array([images.shape[2], images.shape[1]] * 2)
        share = [1 / 6, 1 / 6, 5 / 6, 5 / 6] if expected else [0.31, 0.31, 0.71, 0.71]
        return [[Detection(share * size, 2.0)] for _ in images]


@pytest.fixture
def registered():
    register_detector("fixed", Fixed)
    yield "fixed"
    unregister_detector("fixed")


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    (tmp_path / "eyes_of_mine.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    load_detectors.cache_clear()
    yield "eyes_of_mine"
    load_detectors.cache_clear()


def test_load_detectors__built_in():
    assert detector_names()[:3] == ("hog", "cnn", "auto")
    hog, cnn = load_detectors("auto")
    assert load_detectors("hog")[0].max_pixels is hog.max_pixels is None
    assert cnn.max_pixels == 250_000


def test_a_registered_detector_searches_and_checks(registered, portrait):
    (track,) = find_faces([portrait] * 20, detector=registered)
    assert track.num_frames == 20
    assert track.score == 2.0
    (fixed,) = load_detectors(registered)
    whole, *chips = fixed.shapes
    assert whole == ((240, 240, 3), False)
    assert ((66, 66, 3), True) in chips


def test_a_finder_takes_a_detector_itself(portrait):
    detector = Fixed()
    assert len(find_faces([portrait] * 16, detector=detector)) == 1
    assert len(detector.shapes) > 2
    with pytest.raises(ValueError, match="or a FaceDetector"):
        FaceFinder(detector=object())


def test_an_entry_is_imported(plugin):
    assert load_detectors(f"{plugin}:Detector")[0].fingerprint == "1"
    assert CropOptions(detector=f"{plugin}:Detector").detector == f"{plugin}:Detector"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dog", r"Supported values are hog, cnn, auto.* package.module:factory"),
        ("no_module:f", "No module named 'no_module'. Its module must be installed"),
        ("eyes_of_mine:Nose", "has no attribute 'Nose'"),
        ("eyes_of_mine:nothing", "made a NoneType, which lacks what a FaceDetector"),
    ],
)
def test_load_detectors__what_is_wrong_is_named(name, message):
    with pytest.raises(UsageError, match=message):
        CropOptions(detector=name)


@pytest.mark.parametrize("name", ["hog", "auto", "My Eyes", "", "a:b"])
def test_register_detector__names_that_are_taken_or_odd(name):
    with pytest.raises(ValueError, match="Invalid name of a detector"):
        register_detector(name, Fixed)


def test_unregister_detector(registered):
    assert is_detector_name(registered)
    unregister_detector(registered)
    assert not is_detector_name(registered)
    with pytest.raises(ValueError, match="not registered"):
        unregister_detector(registered)
    register_detector(registered, Fixed)


def test_pickled_options_bring_the_factory(registered):
    pickled = pickle.dumps(CropOptions(detector=registered))
    unregister_detector(registered)
    options = pickle.loads(pickled)
    assert options == CropOptions(detector=registered)
    assert isinstance(load_detectors(registered)[0], Fixed)
