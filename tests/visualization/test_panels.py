"""Panels: pixels where they belong, captions, sizes, and films at their pace."""

import numpy as np
import pytest
import torch
from PIL import Image

from lightly_marlin.regions import Label
from lightly_marlin.visualization import (
    PanelText,
    moment_captions,
    panel_animation,
    panel_sheet,
    write_gif,
    write_panels,
)
from lightly_marlin.visualization.region_colors import REGION_COLORS


@pytest.fixture
def panels():
    """Two clips of 4 frames: frame n of the first is n / 4 grey, the second is red."""
    grey = torch.arange(4.0).div(4).view(1, 1, 4, 1, 1).expand(1, 3, 4, 32, 32)
    red = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1, 1).expand(1, 3, 4, 32, 32)
    return {"grey": grey, "red": red}


def test_sheet(panels):
    sheet = panel_sheet(panels, [0, 3])
    # Small frames are enlarged to 160 pixels; margins are 8, lines 22, gaps 4.
    assert sheet.size == (2 * 164 - 4 + 16, 2 * 182 + 16)
    for column, level in ((0, 0), (1, 191)):
        left = 8 + column * 164
        for corner in ((left, 30), (left + 159, 189)):
            assert sheet.getpixel(corner) == (level,) * 3
        assert sheet.getpixel((left, 30 + 182)) == (255, 0, 0)
    assert sheet.getpixel((8 + 161, 40)) == (255, 255, 255)


def test_sheet__side_and_shape():
    wide = {"a": torch.zeros(1, 3, 1, 200, 400)}
    assert panel_sheet(wide, [0]).size == (416, 238)
    assert panel_sheet(wide, [0], side=100).size == (116, 88)


def test_animation(panels):
    pictures = panel_animation(panels)
    assert len(pictures) == 4
    assert {picture.size for picture in pictures} == {(2 * 164 + 12, 182 + 16)}
    for picture, level in zip(pictures, (0, 64, 128, 191), strict=True):
        assert picture.getpixel((8, 30)) == (level,) * 3
        assert picture.getpixel((8 + 164, 30)) == (255, 0, 0)
    rows = panel_animation(panels, columns=1)
    assert rows[0].size == (176, 2 * 182 + 16)
    assert rows[0].getpixel((8, 30 + 182)) == (255, 0, 0)


def dark_rows(picture, stop):
    return (np.asarray(picture)[:stop] < 160).all(axis=-1).any(axis=1)


def test_text_stands_around(panels):
    plain = panel_animation(panels)[0]
    bar = Image.new("RGB", (324, 5), (0, 255, 0))
    widths = []
    text = PanelText(
        "title", ["a", "b", "c", "d"], lambda w: (widths.append(w), [bar])[1]
    )
    first, second, *_ = panel_animation(panels, text=text)
    assert first.height == plain.height + 22 + 4 + 5 + 4
    assert dark_rows(first, 28).any()
    changed = (np.asarray(first) != np.asarray(second)).any(axis=(1, 2))
    # The moment in the title changes, and the frame; the footer does not.
    assert changed[:28].any()
    assert not changed[28:50].any()
    assert first.getpixel((8, first.height - 10)) == (0, 255, 0)
    sheet = panel_sheet(panels, [1], text=PanelText("", ["a", "b", "c", "d"]))
    assert sheet.height == panel_sheet(panels, [1]).height + 22
    assert set(widths) == {324}


def test_long_captions_stay_inside(panels):
    long = {f"{'very ' * 40}long {name}": panel for name, panel in panels.items()}
    text = PanelText("title " * 200, ["moment " * 50] * 4)
    for picture in (
        panel_sheet(long, [0, 1], text=text),
        panel_animation(long, text=text)[0],
    ):
        pixels = np.asarray(picture)
        assert (pixels[:, :8] == 255).all()
        assert (pixels[:, -8:] == 255).all()


def test_moment_captions():
    assert moment_captions([4, 6, 8, 8, 8], 25) == [
        "frame 4 · 0.16 s",
        "frame 6 · 0.24 s",
        "frame 8 · 0.32 s",
        "frame 8, repeated",
        "frame 8, repeated",
    ]


def test_write_panels(tmp_path):
    grey = torch.arange(4.0).div(4).view(1, 1, 4, 1, 1).expand(1, 3, 4, 32, 32)
    text = PanelText("title")
    write_panels(tmp_path, "a", {"grey": grey}, [0, 2], 1.0, text)
    with Image.open(tmp_path / "a.png") as sheet:
        assert sheet.size == panel_sheet({"grey": grey}, [0, 2], text=text).size
    with Image.open(tmp_path / "a.gif") as film:
        assert (film.n_frames, film.info["duration"]) == (4, 250)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(("seconds", "pause"), [(1.5, 300), (0.01, 20), (60, 500)])
def test_a_gif_plays_at_its_pace(tmp_path, seconds, pause):
    pictures = [Image.new("RGB", (40, 30), (50 * index,) * 3) for index in range(5)]
    write_gif(tmp_path / "a.gif", pictures, seconds)
    with Image.open(tmp_path / "a.gif") as animation:
        assert (animation.n_frames, animation.size) == (5, (40, 30))
        assert animation.info["duration"] == pause
        assert animation.info["loop"] == 0


def test_rare_colours_survive(tmp_path):
    """A patch of 1 % in the colour of eyes, in a picture of every shade of brown."""
    shades = np.random.default_rng(0).integers(0, 120, (200, 200, 1))
    pixels = (shades * (1.0, 0.8, 0.6)).astype(np.uint8)
    eye = np.array(REGION_COLORS[Label.LEFT_EYE]) * 255
    pixels[:20, :20] = eye
    write_gif(tmp_path / "a.gif", [Image.fromarray(pixels)] * 2, 1)
    with Image.open(tmp_path / "a.gif") as animation:
        shown = np.asarray(animation.convert("RGB"), dtype=float)
    assert np.abs(shown[:20, :20] - eye).max() < 24


def pauses(path):
    with Image.open(path) as animation:
        found = []
        for index in range(animation.n_frames):
            animation.seek(index)
            found.append(animation.info["duration"])
    return found


@pytest.mark.parametrize("rate", [15.0, 14.985, 16.5, 12.5, 26.38])
def test_the_round_takes_its_time(tmp_path, rate):
    """Pauses are whole hundredths of a second, but their errors do not add up."""
    pictures = [Image.new("RGB", (40, 30)) for _ in range(30)]
    for index, picture in enumerate(pictures):
        picture.putpixel((index, 3), (255, 0, 0))
    write_gif(tmp_path / "a.gif", pictures, 30 / rate)
    found = pauses(tmp_path / "a.gif")
    assert sum(found) == pytest.approx(30_000 / rate, abs=5.1)
    assert max(found) - min(found) <= 10


def test_equal_pictures_stand_as_long(tmp_path):
    pictures = [Image.new("RGB", (9, 9), (level,) * 3) for level in (0, 90, 90, 90)]
    write_gif(tmp_path / "a.gif", pictures, 1)
    assert pauses(tmp_path / "a.gif") in ([250, 750], [250] * 4)


def test_paper_stays_white(tmp_path):
    noise = np.random.default_rng(0).integers(200, 256, (200, 200, 3), dtype=np.uint8)
    noise[:, 150:] = 255
    write_gif(tmp_path / "a.gif", [Image.fromarray(noise)] * 2, 1)
    with Image.open(tmp_path / "a.gif") as animation:
        assert (np.asarray(animation.convert("RGB"))[:, 150:] == 255).all()
