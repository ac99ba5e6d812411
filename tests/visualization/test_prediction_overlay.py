import numpy as np
import pytest

from lightly_marlin.visualization.drawing import PERSON_COLORS
from lightly_marlin.visualization.prediction_overlay import (
    FacePrediction,
    draw_predictions,
)

BOX = np.array([100.0, 80, 200, 180])


def face(names=("smile", "talk"), scores=(0.75, 0.25), **options):
    return FacePrediction(options.pop("box", BOX), 0.0, names, scores, **options)


def frame(height=400, width=600):
    return np.full((height, width, 3), 128, np.uint8)


def test_draw_predictions__box_of_the_face():
    picture = draw_predictions(frame(), [face()])
    color = PERSON_COLORS[0]
    for row, column in ((80, 150), (180, 150), (130, 100), (130, 200)):
        near = picture[row - 2 : row + 2, column - 2 : column + 2].reshape(-1, 3)
        assert (near == color).all(axis=1).any()
    assert (picture[100:160, 120:180] == 128).all()


def test_draw_predictions__bars_are_as_long_as_the_probabilities():
    picture = draw_predictions(frame(), [face()])
    # Right of the box: a panel of two rows, whose bars have the colour of the face.
    panel = picture[80:160, 205:]
    colored = (panel == PERSON_COLORS[0]).all(axis=2).sum(axis=1)
    first, second = colored[colored > 0][0], colored[colored > 0][-1]
    assert first / second == pytest.approx(3, abs=0.1)


def test_draw_predictions__values_have_no_bars():
    picture = draw_predictions(frame(), [face(("age",), (41.2,), bars=False)])
    assert not (picture[80:160, 208:] == PERSON_COLORS[0]).all(axis=2).any()
    assert (picture[80:160, 208:] != 128).any()


def test_draw_predictions__no_more_than_five_rows():
    def panel_height(count):
        names = [f"l{number}" for number in range(count)]
        picture = draw_predictions(frame(), [face(names, [0.5] * count)])
        return int((picture[:, 210] != 128).any(axis=1).sum())

    assert panel_height(2) < panel_height(5) == panel_height(9)


def test_draw_predictions__panel_stays_in_the_frame():
    large = np.array([10.0, 5, 395, 390])
    picture = draw_predictions(frame(400, 400), [face(box=large)])
    assert picture.shape == (400, 400, 3)
    assert (picture[20:60, 20:150] != 128).any()


def test_draw_predictions__faces_do_not_cover_each_others_labels():
    faces = [face(), face(box=BOX + np.array([10, 5, 10, 5]), number=1)]
    picture = draw_predictions(frame(), faces)
    dark = (picture[:, 360] < 90).all(axis=1)
    assert dark.sum() > 1.7 * (2 * 22 + 16)


@pytest.mark.parametrize("shape", [(97, 131), (240, 320), (401, 601)])
def test_draw_predictions__sizes_that_encoders_take(shape):
    picture = draw_predictions(frame(*shape), [])
    assert picture.shape[0] % 2 == picture.shape[1] % 2 == 0
    assert min(picture.shape[:2]) >= 358
    assert picture.shape[1] / picture.shape[0] == pytest.approx(
        shape[1] / shape[0], rel=0.01
    )


def test_draw_predictions__face_without_a_window():
    picture = draw_predictions(frame(), [face((), ())])
    assert (picture[:, 210:] == 128).all()
