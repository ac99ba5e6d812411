"""Film strips: moments where they belong, rows of all lengths, what is no row."""

import numpy as np
import pytest
import torch

from lightly_marlin.visualization import film_strip

# Margins are 8, lines 22, gaps 4, frames 128 wide.
STEP_X, STEP_Y, LEFT, TOP = 132, 150, 8, 30


def grey(length, side=128):
    """Frame n has the grey level 10 n."""
    levels = 10 * np.arange(length, dtype=np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (length, side, side, 3))


def levels(strip, row, columns):
    y = TOP + row * STEP_Y + 64
    return [strip.getpixel((LEFT + n * STEP_X + 64, y))[0] for n in range(columns)]


def test_film_strip__columns_are_evenly_spaced_from_first_to_last():
    strip = film_strip({"real": grey(9), "generated": torch.tensor(grey(5, 32))})
    assert strip.size == (16 + 5 * STEP_X - 4, 16 + 2 * STEP_Y)
    assert levels(strip, 0, 5) == [0, 20, 40, 60, 80]
    assert levels(strip, 1, 5) == [0, 10, 20, 30, 40]
    assert levels(film_strip({"a": grey(9)}, frames=3), 0, 3) == [0, 40, 80]
    assert levels(film_strip({"a": grey(9)}, frames=1), 0, 1) == [0]


@pytest.mark.parametrize(
    "row", [np.zeros((2, 4, 4, 3)), grey(2)[0], grey(0), grey(2)[..., :2]]
)
def test_film_strip__odd_rows_are_named(row):
    with pytest.raises(ValueError, match=r"Invalid row 'odd' with shape"):
        film_strip({"real": grey(2), "odd": row})


def test_film_strip__nothing_to_draw():
    with pytest.raises(ValueError, match="Invalid rows: there is none"):
        film_strip({})
    with pytest.raises(ValueError, match=r"Invalid frames \(0\)"):
        film_strip({"a": grey(2)}, frames=0)
