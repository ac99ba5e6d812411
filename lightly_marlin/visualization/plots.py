"""Plots with matplotlib: one style for all, and a PIL image as the result."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from lightly_marlin.utils.dependency import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "BASELINE",
    "DPI",
    "INK",
    "MUTED",
    "QUALITATIVE",
    "draw_plot",
    "matplotlib_module",
    "new_figure",
]

DPI = 150
"""Pixels per inch of every plot."""

QUALITATIVE = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#E69F00",
    "#000000",
)
"""Colours that are distinct for any colour vision, without the yellow of [0], which is
invisible on white.

- [0]: Okabe and Ito, 2008, https://jfly.uni-koeln.de/color/
"""

INK = "#1f2328"
MUTED = "#59636e"
BASELINE = "#8c959f"

_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": BASELINE,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "figure.constrained_layout.h_pad": 0.1,
    "figure.constrained_layout.w_pad": 0.1,
    "figure.titlesize": 12,
    "figure.titleweight": "bold",
    "font.size": 9,
    "grid.color": "#e1e4e8",
    "grid.linewidth": 0.6,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    # Long noisy curves exceed the rasterizer's memory if drawn in one piece.
    "agg.path.chunksize": 10_000,
    "xtick.color": MUTED,
    "xtick.labelsize": 8,
    "ytick.color": MUTED,
    "ytick.labelsize": 8,
}


def new_figure(width: float, height: float, *, layout: str | None = None) -> Figure:
    """Returns an empty figure without a window or pyplot state.

    Args:
        width: Width in inches.
        height: Height in inches.
        layout: Layout engine of matplotlib, such as "constrained"; None for none.
    """
    figures, size = matplotlib_module("figure"), (width, height)
    figure: Figure = figures.Figure(figsize=size, dpi=DPI, layout=layout)
    return figure


def draw_plot(make: Callable[[], Figure]) -> Image.Image:
    """Draws a figure in the style of this project, regardless of the user's settings.

    Args:
        make: Function that makes the figure; called with the style in effect.

    Returns:
        RGB image, deterministic for a figure.

    Raises:
        ModuleNotFoundError: If matplotlib is not installed.
    """
    style = matplotlib_module("style")
    agg = matplotlib_module("backends.backend_agg")
    with style.context(_STYLE, after_reset=True), warnings.catch_warnings():
        # Characters that the font lacks are drawn as boxes.
        warnings.filterwarnings("ignore", message=r"Glyph \d+")
        canvas = agg.FigureCanvasAgg(make())
        canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    return Image.fromarray(np.ascontiguousarray(pixels))


def matplotlib_module(name: str) -> ModuleType:
    """Imports a module of matplotlib without its log messages on font caches.

    Args:
        name: Name within matplotlib, such as "lines".

    Raises:
        ModuleNotFoundError: If matplotlib is not installed.
    """
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        return require(f"matplotlib.{name}", "Drawing plots")
    finally:
        logger.setLevel(level)
