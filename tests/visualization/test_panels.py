"""Sheets and animations: pixels where they belong, captions, sizes, padding."""

import numpy as np
import pytest
import torch
from PIL import Image

from lightly_marlin.visualization import (
    PanelText,
    moment_captions,
    panel_animation,
    panel_sheet,
)


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
