import numpy as np
import pytest

from lightly_marlin.faces.landmarks.chip import FaceChip, face_roll


def _plane_with_dot(x, y):
    plane = np.zeros((300, 400), np.uint8)
    plane[y - 2 : y + 3, x - 2 : x + 3] = 255
    return plane


@pytest.mark.parametrize("roll", [0.0, 0.5, -1.0])
@pytest.mark.parametrize("side", [40.0, 120.0])
def test_points_come_back_to_where_they_are_in_the_plane(roll, side):
    plane = _plane_with_dot(210, 140)
    centre = np.array([200.0, 150.0])
    box = np.concatenate([centre - side / 2, centre + side / 2])
    chip = FaceChip.cut(plane, box, roll)
    weights = chip.image.astype(float)
    y, x = (np.arange(192) + 0.5 for _ in range(2))
    middle = np.array([(weights.sum(0) * x).sum(), (weights.sum(1) * y).sum()])
    found = chip.points_to_plane(middle / weights.sum())
    np.testing.assert_allclose(found, [210.5, 140.5], atol=0.4)


def test_a_large_face_is_averaged_not_skipped():
    # Stripes of one pixel become grey when the chip shows a quarter of the pixels.
    plane = np.zeros((1200, 1200), np.uint8)
    plane[:, ::2] = 200
    # A dark bar, so that there is contrast enough.
    plane[600:900] = 0
    chip = FaceChip.cut(plane, np.array([300.0, 300, 900, 900]), 0.0)
    inner = chip.image[30:90, 60:-60]
    assert 90 < inner.min() <= inner.max() < 110


def _chip_of(levels):
    """A chip that grows brighter from the left to the right of the face's box."""
    row = np.interp(np.arange(300), [80, 208], levels)
    ramp = np.tile(row, (300, 1)).round().astype(np.uint8)
    return FaceChip.cut(ramp, np.array([80.0, 80, 208, 208]), 0.0).image


@pytest.mark.parametrize("levels", [(0, 40), (90, 130), (200, 255)])
def test_a_face_in_the_dark_or_in_fog_gets_contrast(levels):
    image = _chip_of(levels)
    assert 25 < image[48:-48, 48:-48].std() < 33
    assert image[48:-48, 48:-48].min() > 0
    assert image[48:-48, 48:-48].max() < 255
    assert (np.diff(image.astype(int), axis=1) >= 0).all()


@pytest.mark.parametrize("levels", [(0, 255), (100, 102)])
def test_a_clear_face_and_a_blank_wall_stay_as_they_are(levels):
    image = _chip_of(levels)
    assert (image.min(), image.max()) == levels


def test_a_box_outside_the_plane_gives_a_chip():
    chip = FaceChip.cut(np.ones((30, 40), np.uint8), np.array([500.0, 0, 520, 20]), 0.2)
    assert chip.image.shape == (192, 192)


def test_a_box_keeps_its_size_when_it_leaves_a_turned_chip():
    plane = np.zeros((300, 400), np.uint8)
    chip = FaceChip.cut(plane, np.array([100.0, 100, 164, 164]), 0.7)
    box = chip.box_to_plane(np.array([32.0, 32, 160, 160]))
    np.testing.assert_allclose(box, [100, 100, 164, 164])


def test_roll_of_a_frontal_and_of_a_tilted_face(frontal_landmarks):
    assert face_roll(frontal_landmarks) == pytest.approx(0.0, abs=1e-6)
    swapped = frontal_landmarks[:, ::-1]
    assert face_roll(swapped) == pytest.approx(np.pi / 2)
