"""Clips in a plane: places, colours and markers, pictures and legend."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from lightly_marlin.visualization import EmbeddedClip, embedding_sheet
from lightly_marlin.visualization.embedding_sheet import TrackStyle, embedding_figure

BLUE = (0, 0, 10)
PICTURE = Image.new("RGB", (8, 8), BLUE)
SIDE = 64


def make(*clips):
    return [EmbeddedClip(place, track, PICTURE) for place, track in clips]


def draw(*clips, tracks=("a", "b"), **options):
    return np.asarray(embedding_sheet(make(*clips), tracks, **options))


def where(sheet, color):
    return (np.abs(sheet.astype(int) - color) <= 1).all(axis=-1)


def rgb(track):
    return np.round(np.array(to_rgb(TrackStyle.of_track(track).color)) * 255)


def num_pictures(sheet):
    """Returns how many pictures there are, none of which is covered."""
    number, rest = divmod(int(where(sheet, BLUE).sum()), SIDE**2)
    assert rest == 0
    return number


def pixels(figure, places):
    """Returns columns and rows of places in the sheet."""
    x, y = figure.axes[0].transData.transform(places).T
    return np.stack([x, figure.bbox.height - y], axis=-1).astype(int)


def test_embedding_sheet__dots_where_clips_lie():
    clips, places = [((0, 0), 0), ((2, 1), 1)], [(0, 0), (2, 1)]
    sheet = draw(*clips)
    found = pixels(embedding_figure(make(*clips), "ab"), places)
    # Up is up, and both axes have the same scale.
    (dx, dy) = found[1] - found[0]
    assert dx > 500
    assert -2 * dy == pytest.approx(dx, abs=3)
    for track, (x, y) in enumerate(found.tolist()):
        assert where(sheet[y - 3 : y + 4, x - 3 : x + 4], rgb(track)).all()
    assert num_pictures(sheet) == 2


def test_embedding_sheet__a_line_leads_from_a_dot_to_its_picture():
    clip = ((3, 4), 0)
    sheet = draw(clip, tracks=["a"])
    ((x, y),) = pixels(embedding_figure(make(clip), "a"), [(3, 4)])
    # The picture is a little to the right of the only dot.
    rows, columns = where(sheet, BLUE).nonzero()
    assert abs(rows.mean() - y) < 2
    assert 0 < columns.min() - x < SIDE
    # After the dot's white outline comes the line, then the frame.
    line = where(sheet, rgb(0))[y - 1 : y + 2, x + 10 : columns.min() - 6]
    assert line.any(axis=0).all()


def test_embedding_sheet__pictures_cover_nothing():
    near = [((0.001 * n, 0), 0) for n in range(5)]
    sheet = draw(*near, ((0.002, 0), 1), ((10, 0), 1))
    assert num_pictures(sheet) >= 6


def test_embedding_sheet__a_crowd_has_as_many_as_there_is_room_for():
    grid = [((x, y), 0) for x in range(60) for y in range(60)]
    assert num_pictures(draw(*grid)) == 0
    few = [((x, y), 0) for x in range(9) for y in range(9)]
    assert 10 < num_pictures(draw(*few)) <= 60


def test_embedding_sheet__axes_and_meaning_stand_below():
    clip, meaning = make(((0, 0), 0)), "Near is alike, " * 30
    bare = embedding_figure(clip, "a")
    assert bare.axes[0].get_xticks().size == 0
    told = embedding_figure(clip, "a", ("component 1", "component 2"), meaning)
    plane = told.axes[0]
    assert (plane.get_xlabel(), plane.get_ylabel()) == ("component 1", "component 2")
    assert plane.get_xticks().size > 2
    assert told.texts[0].get_text().replace("\n", " ") == meaning.strip()
    assert told.bbox.height > bare.bbox.height


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_embedding_sheet__legend_names_every_track():
    """Names of files may begin with what matplotlib hides, or hold formulas."""
    names = ["_a.mp4", "$x$.mp4", "x\ny", "z" * 200]
    clips = [((n, 0), n % 4) for n in range(7)]
    found = legend(embedding_figure(make(*clips), names))
    assert found[:3] == ["_a.mp4 (2)", "$x$.mp4 (2)", "x?y (2)"]
    assert "…" in found[3]
    sheet = draw(*clips, tracks=names)
    assert (sheet[:, -15:] == 255).all()


def test_embedding_sheet__grows_with_the_legend():
    clip = make(((0, 0), 0))
    sizes = [
        embedding_figure(clip, [f"{n}" for n in range(count)]).bbox.size
        for count in (30, 60, 150)
    ]
    assert sizes[0][0] < sizes[1][0] < sizes[2][0]
    assert sizes[0][1] == sizes[1][1] < sizes[2][1]


def test_embedding_sheet__more_tracks_than_styles_share_a_dot():
    clips = [((n, 0), n) for n in range(171)]
    figure = embedding_figure(make(*clips), [f"{n}" for n in range(171)])
    assert legend(figure)[-2:] == ["167 (1)", "3 further tracks (3)"]


def test_track_style__all_are_different():
    styles = [TrackStyle.of_track(track) for track in range(168)]
    assert len(set(styles)) == 168
    # Few tracks differ in colour alone.
    assert len({style.color for style in styles[:7]}) == 7
    assert TrackStyle.of_track(168) is None


def test_embedding_sheet__errors():
    with pytest.raises(ValueError, match="at least one"):
        draw()
    with pytest.raises(ValueError, match=r"track 2. There are 2 names"):
        draw(((0, 0), 2))
