"""Clips in a plane: places, colours, and which of them have a picture."""

import numpy as np
import pytest
from PIL import Image

from lightly_marlin.visualization import EmbeddedClip, embedding_sheet
from lightly_marlin.visualization.embedding_sheet import track_colors

PICTURE = Image.new("RGB", (8, 8), (0, 0, 10))


def draw(*clips, tracks=("a", "b"), **options):
    made = [EmbeddedClip(place, track, PICTURE) for place, track in clips]
    return np.asarray(embedding_sheet(made, tracks, **options))


def places(sheet, color):
    """Returns the box (left, top, right, bottom) of a colour left of the legend."""
    y, x = (sheet[:, :900] == color).all(axis=-1).nonzero()
    return int(x.min()), int(y.min()), int(x.max()), int(y.max())


def test_embedding_sheet__places_and_colours():
    sheet = draw(((0, 0), 0), ((2, 1), 1))
    first, second = (places(sheet, color) for color in track_colors(2))
    # The horizontal extent fills 716 pixels; up is up; frames are 62 pixels wide.
    assert first == (61, 598, 122, 659)
    assert second == (777, 240, 838, 301)
    assert (sheet[450 + 179, 92] == (0, 0, 10)).all()
    for color in track_colors(2):
        assert (sheet[:, 900:] == color).all(axis=-1).sum() == 13 * 13


def test_embedding_sheet__pictures_do_not_cover_each_other():
    near = [((0.001 * n, 0), 0) for n in range(5)]
    sheet = draw(*near, ((0.002, 0), 1), ((10, 0), 1))
    blue = (sheet[:, :900] == (0, 0, 10)).all(axis=-1)
    # The first of each track has a picture unless another is in its way.
    assert blue[:, :450].sum() < 56 * 56
    assert blue[:, 450:].sum() == 56 * 56
    # The dot of the second track's first clip lies on the picture of the first track.
    assert places(sheet[:, :450], track_colors(2)[1])[0] < 100


def test_embedding_sheet__equal_places_lie_in_the_middle():
    sheet = draw(((3, 4), 0), tracks=["a"])
    assert places(sheet, track_colors(1)[0]) == (419, 419, 480, 480)


def test_embedding_sheet__grows_with_the_legend():
    names = [f"track {number}" for number in range(60)]
    sheet = draw(((0, 0), 59), tracks=names)
    assert sheet.shape == (2 * 64 + 60 * 22, 1220, 3)
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
