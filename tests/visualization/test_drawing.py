import numpy as np
import pytest
from PIL import Image

from lightly_marlin.visualization.drawing import (
    PAPER,
    fit_text,
    overlay_lines,
    stack,
    text_block,
    text_width,
)


@pytest.mark.parametrize("width", [20, 60, 120, 1000])
def test_text_is_shortened_in_its_middle(width):
    text = "a_very_long_name_of_a_video.mp4"
    short = fit_text(text, 12, width)
    assert text_width(short, 12) <= width
    assert short == text if width == 1000 else "…" in short
    if len(short) > 3 and short != text:
        assert (short[0], short[-1]) == ("a", "4")


def test_control_characters_are_shown_as_such():
    assert fit_text("a\nb\tc.mp4", 12, 500) == "a?b?c.mp4"


def test_lines_are_smooth_and_leave_the_picture_alone():
    picture = Image.new("RGB", (40, 40), (10, 20, 30))
    line = np.array([[0.0, 0.0], [40.0, 25.0]])
    drawn = np.asarray(overlay_lines(picture, [(line, (255, 0, 0), 1.5)]))
    red = drawn[..., 0].astype(int)
    assert (red == 10).mean() > 0.8
    # Between untouched and full: the edge is blended.
    assert ((red > 40) & (red < 200)).sum() > 20
    assert np.asarray(picture).reshape(-1, 3).std(axis=0).max() == 0


def test_dots_lie_where_they_are_asked_for():
    picture = Image.new("RGB", (40, 40))
    points = np.array([[10.0, 30.0]])
    drawn = np.asarray(overlay_lines(picture, [], [(points, (0, 255, 0), 6.0)]))
    rows, columns = np.nonzero(drawn[..., 1] > 127)
    assert abs(rows.mean() + 0.5 - 30) < 0.6
    assert abs(columns.mean() + 0.5 - 10) < 0.6


def test_stack_keeps_sizes():
    sheet = stack([Image.new("RGB", (10, 5)), Image.new("RGB", (6, 7))], 3, 2)
    assert sheet.size == (14, 19)
    assert sheet.getpixel((9, 12)) == PAPER


@pytest.mark.parametrize("width", [30, 200, 2000])
def test_text_block__breaks_lines(width):
    text = "windows that lie close together have similar features"
    block = text_block(text, width)
    lines = {30: 8, 200: 2, 2000: 1}[width]
    assert block.size == (width, lines * 20)
    ink = (np.asarray(block) < 200).any(axis=(1, 2)).reshape(lines, 20)
    assert ink.any(axis=1).all()
