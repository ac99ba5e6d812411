import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightly_marlin.faces import regions_from_landmarks
from lightly_marlin.regions import Label


def _share(region, label, points):
    """Returns the share of points (n, 2) that carry a label."""
    x, y = np.rint(points).astype(int).T
    return (region[y, x] == label).mean()


def test_every_region_of_a_frontal_face_is_there(frontal_landmarks):
    region = regions_from_landmarks(frontal_landmarks[None], 224, 224)[0]
    assert set(np.unique(region)) == {int(label) for label in Label}


def test_left_is_left_in_the_image(frontal_landmarks):
    region = regions_from_landmarks(frontal_landmarks[None], 224, 224)[0]
    pairs = (
        (Label.LEFT_EYEBROW, Label.RIGHT_EYEBROW),
        (Label.LEFT_EYE, Label.RIGHT_EYE),
    )
    for left, right in pairs:
        assert np.nonzero(region == left)[1].max() < 112
        assert np.nonzero(region == right)[1].min() > 112


def test_regions_lie_on_their_landmarks(frontal_landmarks):
    region = regions_from_landmarks(frontal_landmarks[None], 224, 224)[0]
    assert _share(region, Label.LEFT_EYEBROW, frontal_landmarks[18:21]) == 1
    assert _share(region, Label.NOSE, frontal_landmarks[28:31]) == 1
    assert region[130, 104] == region[130, 120] == Label.NOSE
    mouth = (frontal_landmarks[60:68] - (112, 158)) * 0.8 + (112, 158)
    assert _share(region, Label.INNER_MOUTH, mouth) == 1
    assert region[158, 112] == Label.INNER_MOUTH
    assert region[146, 112] == Label.UPPER_LIP
    assert region[170, 112] == Label.LOWER_LIP
    assert region[140, 70] == Label.SKIN
    assert region[60, 112] == Label.SKIN
    assert region[5, 5] == region[215, 112] == Label.BACKGROUND


def test_hair_lies_above_the_forehead_and_ends_at_the_ears(frontal_landmarks):
    region = regions_from_landmarks(frontal_landmarks[None], 224, 224)[0]
    rows, columns = np.nonzero(region == Label.HAIR)
    skin = np.nonzero(region == Label.SKIN)[0]
    assert rows.min() < skin.min()
    assert rows.max() < 135
    assert columns.min() < 52
    assert columns.max() > 172


def test_a_map_of_another_size_and_several_frames(frontal_landmarks):
    faces = np.stack([frontal_landmarks, frontal_landmarks + np.array([30, 0])])
    regions = regions_from_landmarks(faces, 200, 260)
    assert regions.shape == (2, 200, 260)
    assert regions.dtype == np.uint8
    # An edge that runs through the middle of a pixel may fall on either side.
    assert (regions[0, :, 20:200] == regions[1, :, 50:230]).mean() > 0.999


@pytest.mark.parametrize("squeeze", [1.0, 0.3, 0.0])
def test_profiles_and_points_far_outside_stay_valid(frontal_landmarks, squeeze):
    profile = (frontal_landmarks - 112) * (squeeze, 1.0) + 112
    for shift in (0.0, 180.0, -1e9):
        region = regions_from_landmarks((profile + shift)[None], 224, 224)
        assert region.max() <= Label.HAIR


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.0, 1e4))
def test_any_landmarks_give_valid_labels(seed, spread):
    points = np.random.default_rng(seed).normal(scale=spread, size=(1, 68, 2))
    region = regions_from_landmarks(points, 32, 48)
    assert region.shape == (1, 32, 48)
    assert region.max() <= Label.HAIR


def test_no_frames_give_no_maps():
    assert regions_from_landmarks(np.zeros((0, 68, 2)), 8, 8).shape == (0, 8, 8)


@pytest.mark.parametrize(
    ("landmarks", "height", "text"),
    [
        (np.zeros((68, 2)), 8, r"Invalid shape of landmarks \(68, 2\)"),
        (np.full((1, 68, 2), np.nan), 8, "must be finite"),
        (np.zeros((1, 68, 2)), 0, "Invalid size 0x8"),
    ],
)
def test_invalid_input_is_named(landmarks, height, text):
    with pytest.raises(ValueError, match=text):
        regions_from_landmarks(landmarks, height, 8)


def _turned(landmarks, degrees):
    """The face, laid on half an ellipsoid with a nose, turned to the image's right."""
    x, y = (landmarks - 112).T
    depth = -60 * np.sqrt(np.clip(1 - np.square(x / 62) - np.square(y / 120), 0, None))
    depth[27:36] -= np.array([4, 10, 16, 22, 8, 9, 10, 9, 8])
    angle = np.deg2rad(degrees)
    return np.stack([x * np.cos(angle) - depth * np.sin(angle), y], -1) + 112


def _hair_beside(region, landmarks, row):
    """Columns of hair to the left and to the right of the jaw's ends in a row."""
    columns = np.nonzero(region[row] == Label.HAIR)[0]
    left, right = landmarks[[0, 16], 0]
    return (columns < left).sum(), (columns > right).sum()


@pytest.mark.parametrize("degrees", [40, -40])
def test_a_turned_head_has_hair_on_the_side_that_is_seen(frontal_landmarks, degrees):
    turned = _turned(frontal_landmarks, degrees)
    maps = regions_from_landmarks(np.stack([frontal_landmarks, turned]), 224, 300)
    left, right = _hair_beside(maps[0], frontal_landmarks, 95)
    assert abs(left - right) <= 1
    assert left > 5
    sides = _hair_beside(maps[1], turned, 95)
    seen, hidden = sides if degrees > 0 else sides[::-1]
    assert seen > 2 * left
    assert hidden <= 2


def test_regions_change_steadily_as_a_head_turns(frontal_landmarks):
    faces = np.stack([_turned(frontal_landmarks, angle) for angle in range(-45, 46)])
    regions = regions_from_landmarks(faces, 224, 224)
    changed = (regions[1:] != regions[:-1]).mean(axis=(1, 2))
    assert changed.max() < 0.03


def test_a_mirrored_face_has_the_mirrored_map(frontal_landmarks):
    order = np.arange(68)
    parts = (range(17), range(17, 27), range(31, 36), (36, 39, 42, 45))
    for part in parts:
        order[list(part)] = list(part)[::-1]
    for left, right in ((37, 44), (38, 43), (40, 47), (41, 46)):
        order[[left, right]] = right, left
    for lips in ((48, 54), (49, 53), (50, 52), (55, 59), (56, 58), (60, 64)):
        order[list(lips)] = lips[::-1]
    for lips in ((61, 63), (65, 67)):
        order[list(lips)] = lips[::-1]
    face = _turned(frontal_landmarks, 30)
    mirrored = (face[order] - (112, 0)) * (-1, 1) + (111, 0)
    one, two = regions_from_landmarks(np.stack([face, mirrored]), 224, 224)
    swap = np.arange(11)
    swap[[2, 3, 4, 5]] = 3, 2, 5, 4
    # An edge that runs through the middle of a pixel may fall on either side.
    assert (swap[two[:, ::-1]] == one).mean() > 0.98
