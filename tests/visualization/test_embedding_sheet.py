"""Clips in a plane: places, colours, and where their pictures lie."""

import numpy as np
import pytest
from PIL import Image

from lightly_marlin.visualization import EmbeddedClip, embedding_sheet
from lightly_marlin.visualization.embedding_sheet import track_colors

BLUE = (0, 0, 10)
PICTURE = Image.new("RGB", (8, 8), BLUE)


def draw(*clips, tracks=("a", "b"), **options):
    made = [EmbeddedClip(place, track, PICTURE) for place, track in clips]
    return np.asarray(embedding_sheet(made, tracks, **options))


def where(sheet, color):
    """Returns a colour's pixels left of the legend."""
    return (sheet[:900, :868] == color).all(axis=-1)


def num_pictures(sheet):
    """Returns how many pictures there are, none of which is covered."""
    number, rest = divmod(int(where(sheet, BLUE).sum()), 56 * 56)
    assert rest == 0
    return number


def test_embedding_sheet__dots_where_clips_lie():
    sheet = draw(((0, 0), 0), ((2, 1), 1))
    # The horizontal extent fills 716 pixels; up is up.
    for (x, y), color in zip(((92, 629), (808, 271)), track_colors(2), strict=True):
        assert (sheet[y - 2 : y + 3, x - 2 : x + 3] == color).all()
        assert where(sheet, color)[y - 5 : y + 6, x - 5 : x + 6].sum() > 60
    assert num_pictures(sheet) == 2
    for color in track_colors(2):
        assert (sheet[:, 900:] == color).all(axis=-1).sum() == 13 * 13


def test_embedding_sheet__a_line_leads_from_a_dot_to_its_picture():
    sheet = draw(((3, 4), 0), tracks=["a"])
    color = track_colors(1)[0]
    # Of equal places, the middle; the picture is 52 pixels to the right.
    assert (sheet[450, 446:455] == color).all()
    # After the dot's white outline.
    assert (where(sheet, color) | where(sheet, BLUE))[450, 457:532].all()
    assert where(sheet, BLUE)[:, 474:530].sum() == 56 * 56


def test_embedding_sheet__pictures_cover_nothing():
    near = [((0.001 * n, 0), 0) for n in range(5)]
    sheet = draw(*near, ((0.002, 0), 1), ((10, 0), 1))
    assert num_pictures(sheet) >= 6
    for color in track_colors(2):
        assert where(sheet, color)[445:456].any()


def test_embedding_sheet__a_crowd_has_as_many_as_there_is_room_for():
    grid = [((x, y), 0) for x in range(60) for y in range(60)]
    assert num_pictures(draw(*grid)) == 0
    few = [((x, y), 0) for x in range(9) for y in range(9)]
    assert 10 < num_pictures(draw(*few)) <= 60


def test_embedding_sheet__every_track_comes_before_any_second_clip():
    clips = [((0, 0), 0)] * 200 + [((0, 0), 1)]
    sheet = draw(*clips)
    first, second = (where(sheet, color).sum() for color in track_colors(2))
    assert first > 62**2 - 56**2
    assert second > 62**2 - 56**2


def test_embedding_sheet__meaning_stands_below():
    plain = draw(((0, 0), 0))
    told = draw(((0, 0), 0), meaning="t-SNE, perplexity 5: near is alike.")
    assert np.array_equal(told[:900], plain)
    assert (told[900:] < 160).any()


def test_embedding_sheet__grows_with_the_legend():
    names = [f"track {number}" for number in range(60)]
    sheet = draw(((0, 0), 59), tracks=names)
    assert sheet.shape == (2 * 64 + 60 * 22, 1280, 3)
    assert (sheet == track_colors(60)[59]).all(axis=-1)[-100:].any()


@pytest.mark.parametrize("count", [0, 1, 6, 7, 40])
def test_track_colors__are_different(count):
    colors = track_colors(count)
    assert len(set(colors)) == count
    assert all(0 <= value <= 255 for color in colors for value in color)


def test_embedding_sheet__errors():
    with pytest.raises(ValueError, match="at least one"):
        draw()
    with pytest.raises(ValueError, match=r"track 2. There are 2 names"):
        draw(((0, 0), 2))
