import pickle

import numpy as np
import pytest

from lightly_marlin.faces import FaceParser, LandmarkParser
from lightly_marlin.faces.parsing.parser import check_parser_input
from lightly_marlin.regions import Label


def test_the_regions_of_a_portrait_lie_where_they_are_seen(portrait):
    parser: FaceParser = LandmarkParser()
    assert isinstance(parser, FaceParser)
    boxes = np.array([[38.0, 33, 204, 199]] * 2)
    regions = parser(np.stack([portrait, portrait]), boxes)
    assert regions.shape == (2, 240, 240)
    assert set(np.unique(regions)) == {int(label) for label in Label}
    assert regions[0, 104, 104] == Label.LEFT_EYE
    assert regions[0, 104, 146] == Label.RIGHT_EYE
    assert regions[0, 125, 125] == Label.NOSE
    np.testing.assert_array_equal(regions[0], regions[1])


def test_a_parser_can_be_sent_to_workers(portrait):
    boxes = np.array([[38.0, 33, 204, 199]])
    parser = LandmarkParser()
    copy = pickle.loads(pickle.dumps(parser))
    np.testing.assert_array_equal(
        parser(portrait[None], boxes), copy(portrait[None], boxes)
    )


def test_the_padding_of_the_box_hardly_matters(portrait):
    tight = LandmarkParser()(portrait[None], np.array([[60.0, 60, 185, 185]]))
    wide = LandmarkParser()(portrait[None], np.array([[20.0, 15, 225, 220]]))
    assert (tight == wide).mean() > 0.97


@pytest.mark.parametrize(
    ("frames", "boxes", "text"),
    [
        (np.zeros((2, 8, 8), np.uint8), np.zeros((2, 4)), "Invalid frames"),
        (np.zeros((2, 8, 8, 3)), np.zeros((2, 4)), "Invalid frames float64"),
        (np.zeros((2, 8, 8, 3), np.uint8), np.zeros((1, 4)), r"must be \(2, 4\)"),
    ],
)
def test_other_input_is_rejected(frames, boxes, text):
    with pytest.raises(ValueError, match=text):
        check_parser_input(frames, boxes)
