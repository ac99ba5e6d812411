import numpy as np
import pytest

from lightly_marlin.visualization import (
    FaceCrop,
    FaceMark,
    SheetFrame,
    SheetTrack,
    face_sheet,
)
from lightly_marlin.visualization.drawing import PERSON_COLORS


def _frame(height, width, marks=()):
    return SheetFrame(np.full((height, width, 3), 90, np.uint8), "frame 0", marks)


def _crop(level, *, labels=True):
    landmarks = np.full((68, 2), 112.0)
    cells = np.ones((28, 28), np.int32)
    known = np.zeros((224, 224), np.uint8) if labels else None
    crop = np.full((224, 224, 3), level, np.uint8)
    return FaceCrop(crop, landmarks, cells, known, "frame 0")


def _where(sheet, color):
    return np.nonzero((np.asarray(sheet) == color).all(axis=-1))


def test_a_box_is_drawn_where_the_face_is():
    """At a sixth of the sheet's width, 224 pixels, a box keeps its place."""
    box, landmarks = np.array([56.0, 112, 168, 224]), np.full((68, 2), 100.0)
    mark = FaceMark("0 / p1", 1, box, landmarks)
    frames = [_frame(224, 224, [mark])] + [_frame(224, 224)] * 5
    sheet = face_sheet("a.mp4", "ok", frames, [])
    plain = face_sheet("a.mp4", "ok", [_frame(224, 224)] * 6, [])
    changed = (np.asarray(sheet) != np.asarray(plain)).any(axis=-1)
    rows, columns = np.nonzero(changed)
    assert abs(columns.min() - (32 + 56)) <= 2
    assert abs(columns.max() - (32 + 168)) <= 2
    # Above the box stands its name, 16 pixels high.
    assert abs((rows.max() - rows.min()) - (112 + 16)) <= 3
    assert len(_where(sheet, PERSON_COLORS[1])[0]) > 100


def test_wide_frames_take_two_rows():
    tall = face_sheet("a", "", [_frame(100, 100)] * 6, [])
    wide = face_sheet("a", "", [_frame(100, 200)] * 6, [])
    assert tall.width == wide.width
    assert wide.height > tall.height


def test_three_pictures_per_crop():
    crops = [_crop(40), None, _crop(60, labels=False)]
    track = SheetTrack("track 0", 0, [], crops)
    sheet = face_sheet("a", "", [], [track], num_columns=3)
    for level, rows in ((40, 3), (60, 2)):
        found = _where(sheet, (level,) * 3)
        # The landmarks, all in one point, hide a few pixels of the first picture.
        assert rows * 224 * 224 - 60 < len(found[0]) <= rows * 224 * 224


def test_an_absent_face_is_said_to_be():
    track = SheetTrack("track 0", 0, [], [_crop(40), None])
    sheet = face_sheet("a", "", [], [track], num_columns=2)
    rows, columns = _where(sheet, (238, 240, 243))
    assert 3 * 224 * 224 - 2000 < len(rows) < 3 * 224 * 224 - 100
    # The words are in the first of its pictures.
    place = np.asarray(sheet)[rows.min() : rows.min() + 224, columns.min() :][:, :224]
    assert (place < 160).all(axis=-1).sum() > 30


def test_a_single_crop_shows_them_side_by_side():
    sheet = face_sheet(
        "a", "", [], [SheetTrack("t", 0, ["x" * 200, "y" * 200], [_crop(40)])]
    )
    rows, columns = _where(sheet, (40, 40, 40))
    assert rows.max() - rows.min() == 223
    assert columns.max() - columns.min() == 3 * 224 + 2 * 8 - 1


@pytest.mark.parametrize("frames", [[], [_frame(2000, 30)], [_frame(10, 3000)]])
def test_odd_videos_have_sheets(frames):
    sheet = face_sheet("x" * 400, "y" * 400, frames, [], notes=["no\nface"])
    assert sheet.width == 6 * 232 - 8 + 64
    assert sheet.height < 800
