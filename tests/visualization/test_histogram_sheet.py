import numpy as np

from lightly_marlin.visualization import histogram_sheet
from lightly_marlin.visualization.drawing import ACCENT
from lightly_marlin.visualization.histogram_sheet import _MARGIN, _PALE_BAR, _PANEL


def _count(sheet, color):
    return (np.asarray(sheet) == color).all(axis=-1).sum()


def test_kept_values_are_drawn_over_all():
    values = [1.0, 1.0, 2.0, 9.0, None]
    everything = histogram_sheet({"a": values})
    assert _count(everything, ACCENT) > 0
    assert _count(everything, _PALE_BAR) == 0
    part = histogram_sheet({"a": values}, np.array([False, False, False, True, True]))
    assert 0 < _count(part, ACCENT) < _count(part, _PALE_BAR)


def test_bars_follow_the_counts():
    """Twice as many values, twice as high a bar."""
    sheet = np.asarray(histogram_sheet({"a": [0.0] * 2 + [1.0] * 4}))
    bars = (sheet == ACCENT).all(axis=-1)
    heights = bars.sum(axis=0)
    assert heights[: _PANEL[0] // 2].max() * 2 == heights.max()


def test_columns_without_values_or_spread():
    sheet = histogram_sheet({"a": [None, None], "b": [3.0, 3.0], "c": [], "d": [0.0]})
    assert sheet.size == (3 * _PANEL[0] + 2 * _MARGIN, 2 * _PANEL[1] + 2 * _MARGIN)
