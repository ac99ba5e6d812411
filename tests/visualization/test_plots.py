"""Plots: the same picture whatever a user has set, and nothing left behind."""

import logging
import sys

import matplotlib
import numpy as np
import pytest

from lightly_marlin.visualization.plots import (
    DPI,
    draw_plot,
    matplotlib_module,
    new_figure,
)


def make():
    figure = new_figure(2, 1)
    figure.text(0.1, 0.1, "日本語")
    figure.add_axes((0.2, 0.3, 0.7, 0.6)).plot([1, 2])
    return figure


def test_draw_plot__ignores_the_settings_of_the_user():
    plain = draw_plot(make)
    assert plain.size == (2 * DPI, DPI)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        before = dict(matplotlib.rcParams)
        assert np.array_equal(draw_plot(make), plain)
        assert dict(matplotlib.rcParams) == before


def test_draw_plot__is_quiet(recwarn, caplog):
    draw_plot(make)
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]
    assert not caplog.records
    assert logging.getLogger("matplotlib").level in (logging.NOTSET, logging.WARNING)


def test_matplotlib_module__missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match="Drawing plots needs"):
        matplotlib_module("figure")
