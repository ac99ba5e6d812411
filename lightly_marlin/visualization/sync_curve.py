"""Picture of how far speech and lips are apart, by their offset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from lightly_marlin.visualization.plots import QUALITATIVE, draw_plot, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["sync_curve", "sync_figure"]

_WIDTH, _HEIGHT = 6.4, 3.9  # Inches.
_LEGEND_ROW = 0.22


def sync_curve(
    curves: Mapping[str, npt.NDArray[np.floating]], title: str = ""
) -> Image.Image:
    """Draws mean distances of picture and sound over their offset.

    A dot is at the least distance, and at the offset of the video; the dotted line from
    there to the median of the curve is as long as the confidence. By SyncNet, these are
    LSE-D and LSE-C. A flat curve is one of a video whose speech was not found.

    Args:
        curves: Distances by name, such as "real", "generated" and "shifted": float
            arrays with shape (2 k + 1,), by the shift of the sound from -k to k frames,
            see `lightly_marlin.lip_sync.sync_distances`.
        title: Heading.

    Returns:
        RGB image.

    Raises:
        ValueError: If there is no curve, or one has another shape or is not finite.
    """
    return draw_plot(lambda: sync_figure(curves, title))


def sync_figure(
    curves: Mapping[str, npt.NDArray[np.floating]], title: str = ""
) -> Figure:
    """Makes the figure of `sync_curve`."""
    if not curves:
        raise ValueError("Invalid curves: there is none to draw.")
    for name, distances in curves.items():
        odd = np.ndim(distances) == 1 and len(distances) % 2 == 1
        if not odd or not np.isfinite(distances).all():
            raise ValueError(
                f"Invalid curve {name!r} with shape {np.shape(distances)}. It must be "
                "finite, with an odd number of distances: shifts from -k to k."
            )
    height = _HEIGHT + _LEGEND_ROW * len(curves)
    figure = new_figure(_WIDTH, height, layout="constrained")
    axes = figure.add_subplot()
    for number, (name, distances) in enumerate(curves.items()):
        _draw(axes, name, np.asarray(distances), QUALITATIVE[number % len(QUALITATIVE)])
    axes.set_xlabel("offset in frames (positive: the sound comes before its picture)")
    axes.set_ylabel("mean distance")
    axes.set_title(title, loc="left", parse_math=False)
    axes.locator_params(axis="x", integer=True)
    legend = figure.legend(loc="outside lower left")
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def _draw(
    axes: Axes, name: str, distances: npt.NDArray[np.floating], color: str
) -> None:
    """Draws one curve, its least distance, and from there its confidence."""
    reach = len(distances) // 2
    offsets = reach - np.arange(len(distances))
    index = int(distances.argmin())
    least, median = float(distances[index]), float(np.median(distances))
    offset = int(offsets[index])
    shown = f"{offset:+d}" if offset else "0"
    scores = f"distance {least:.3f}, confidence {median - least:.3f}"
    axes.plot(
        offsets, distances, color=color, label=f"{name}: offset {shown}, {scores}"
    )
    axes.plot([offset, offset], [least, median], ":", color=color, linewidth=1.2)
    axes.plot([offset], [least], "o", color=color, markersize=5)
