"""Scatter plot of clips in a plane, coloured by track, with thumbnails."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from lightly_marlin.visualization.drawing import fit_text
from lightly_marlin.visualization.plots import (
    BASELINE,
    DPI,
    MUTED,
    QUALITATIVE,
    draw_plot,
    matplotlib_module,
    new_figure,
)
from lightly_marlin.visualization.thumbnail_places import place_thumbnails

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["EmbeddedClip", "TrackStyle", "embedding_figure", "embedding_sheet"]

# Inches.
_SIDE = 6.6
_LEFT, _RIGHT, _TOP = 0.65, 0.25, 0.45
_LABELS, _PLAIN = 0.55, 0.15  # below the plane, with and without ticks
_LEGEND_COLUMN = 3.2
_LINE = 0.19

_ROWS = 34
_MAX_COLUMNS = 3
_THUMBNAIL = 64  # pixels
_NAME = (19, 285)  # pixels: height of the font, room
# Sizes in points that look equal.
_MARKERS = {
    "o": 7,
    "s": 6.5,
    "^": 8,
    "D": 6.5,
    "v": 8,
    "P": 8,
    "X": 8,
    "*": 11,
    "<": 8,
    ">": 8,
    "p": 8,
    "h": 8,
}


@dataclass(frozen=True)
class EmbeddedClip:
    """A clip as a point.

    Attributes:
        place: Coordinates (x, y) in any unit; y points up.
        track: Index of its track in the legend.
        picture: A frame of it, RGB.
    """

    place: tuple[float, float]
    track: int
    picture: Image.Image


class TrackStyle(NamedTuple):
    """Style of a track's dots: colour, marker, and whether they are filled."""

    color: str
    marker: str
    filled: bool

    @classmethod
    def of_track(cls, track: int) -> TrackStyle | None:
        """Returns the style of a track by its index; None if all are taken.

        Colours vary first, then markers, then their filling: 168 styles.
        """
        rest, color = divmod(track, len(QUALITATIVE))
        fill, marker = divmod(rest, len(_MARKERS))
        if fill > 1:
            return None
        return cls(QUALITATIVE[color], [*_MARKERS][marker], fill == 0)

    def options(self) -> dict[str, Any]:
        """Returns the style as options of `Axes.plot`."""
        return {
            "color": self.color,
            "linestyle": "",
            "marker": self.marker,
            "markeredgecolor": "white" if self.filled else self.color,
            "markeredgewidth": 0.6 if self.filled else 1.4,
            "markerfacecolor": self.color if self.filled else "white",
            "markersize": _MARKERS[self.marker] if self.filled else 6,
        }


_FURTHER = TrackStyle(BASELINE, ".", filled=False)


def embedding_sheet(
    clips: Sequence[EmbeddedClip],
    tracks: Sequence[str],
    axes: tuple[str, str] = ("", ""),
    meaning: str = "",
) -> Image.Image:
    """Draws clips as dots, with thumbnails where there is room.

    Both axes have the same scale. A thumbnail is placed near its dot, connected by a
    line, where it covers neither a dot nor another thumbnail; the first of each track
    comes before any second. 168 tracks have distinct styles; further ones share a grey
    dot.

    Args:
        clips: Clips to draw, at least one.
        tracks: Name of each track, for the legend.
        axes: Labels of the horizontal and vertical axes; without them, there are no
            ticks.
        meaning: Interpretation of the positions, for a line below.

    Returns:
        RGB image.

    Raises:
        ValueError: If there is no clip, or one has a track without a name.
    """
    return draw_plot(lambda: embedding_figure(clips, tracks, axes, meaning))


def embedding_figure(
    clips: Sequence[EmbeddedClip],
    tracks: Sequence[str],
    axes: tuple[str, str] = ("", ""),
    meaning: str = "",
) -> Figure:
    """Makes the figure of `embedding_sheet`, with the same arguments."""
    if not clips:
        raise ValueError("Invalid clips: there must be at least one.")
    for clip in clips:
        if not 0 <= clip.track < len(tracks):
            raise ValueError(
                f"Invalid track {clip.track}. There are {len(tracks)} names of tracks."
            )
    handles, names = _legend_entries(clips, tracks)
    columns = min(_MAX_COLUMNS, -(-len(names) // _ROWS))
    legend_height = (-(-len(names) // columns) + 2) * _LINE
    lines = textwrap.wrap(meaning, 105)
    width = _LEFT + _SIDE + _RIGHT + columns * _LEGEND_COLUMN
    margin = _LABELS if any(axes) else _PLAIN
    below = margin + (len(lines) + 1) * _LINE
    height = max(_TOP + _SIDE + below, _TOP + legend_height)
    figure = new_figure(width, height)
    bottom = height - _TOP - _SIDE
    place = (_LEFT / width, bottom / height, _SIDE / width, _SIDE / height)
    plane = figure.add_axes(place, xlabel=axes[0], ylabel=axes[1])
    plane.set_title(f"{len(clips)} clips of {len(tracks)} tracks", loc="left")
    _draw_plane(plane, clips, ticks=any(axes))
    legend = figure.legend(
        handles,
        ["" for _ in names],
        loc="upper left",
        bbox_to_anchor=((_LEFT + _SIDE + _RIGHT) / width, 1 - _TOP / height),
        borderaxespad=0,
        ncols=columns,
        title="track (clips)",
        alignment="left",
        handlelength=1,
    )
    # In a file name, a dollar must not start a formula, nor an underscore hide the
    # entry.
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set(text=name, parse_math=False)
    figure.text(
        _LEFT / width,
        (bottom - margin) / height,
        "\n".join(lines),
        color=MUTED,
        va="top",
    )
    return figure


def _legend_entries(
    clips: Sequence[EmbeddedClip], tracks: Sequence[str]
) -> tuple[list[Any], list[str]]:
    """Returns handles and labels: every track with a style, then all others."""
    lines = matplotlib_module("lines")
    counts = np.bincount([clip.track for clip in clips], minlength=len(tracks))
    handles, names = [], []
    for index, (name, count) in enumerate(zip(tracks, counts.tolist(), strict=True)):
        style = TrackStyle.of_track(index)
        if style is None:
            handles.append(lines.Line2D([], [], **_FURTHER.options()))
            rest = int(counts[index:].sum())
            names.append(f"{len(tracks) - index} further tracks ({rest})")
            break
        handles.append(lines.Line2D([], [], **style.options()))
        names.append(f"{fit_text(name, *_NAME)} ({count})")
    return handles, names


def _draw_plane(axes: Axes, clips: Sequence[EmbeddedClip], *, ticks: bool) -> None:
    """Draws dots and pictures into a square, with the same scale on both axes."""
    places = np.array([clip.place for clip in clips], np.float64)
    middle = (places.max(axis=0) + places.min(axis=0)) / 2
    half = float(np.ptp(places, axis=0).max()) * 0.6 or 1.0
    axes.set(
        xlim=(middle[0] - half, middle[0] + half),
        ylim=(middle[1] - half, middle[1] + half),
    )
    if not ticks:
        axes.set(xticks=[], yticks=[])
    axes.spines[["top", "right"]].set_visible(True)
    by_style: dict[TrackStyle, list[int]] = {}
    for index, clip in enumerate(clips):
        style = TrackStyle.of_track(clip.track) or _FURTHER
        by_style.setdefault(style, []).append(index)
    for style, indices in by_style.items():
        axes.plot(*places[indices].T, **style.options(), zorder=4)
    pixels = axes.transData.transform(places)
    box = axes.transAxes.transform([(0.01, 0.01), (0.99, 0.99)])
    tracks = [clip.track for clip in clips]
    centers = place_thumbnails(pixels, tracks, box, _THUMBNAIL)
    for index, center in centers.items():
        style = TrackStyle.of_track(clips[index].track) or _FURTHER
        _draw_thumbnail(axes, clips[index], center, style.color)


def _draw_thumbnail(
    axes: Axes, clip: EmbeddedClip, center: npt.NDArray[np.float64], color: str
) -> None:
    """Draws a framed thumbnail at a position in pixels, and a line from its dot."""
    boxes = matplotlib_module("offsetbox")
    size = (_THUMBNAIL, _THUMBNAIL)
    pixels = np.asarray(clip.picture.resize(size, Image.Resampling.LANCZOS))
    box = boxes.AnnotationBbox(
        boxes.OffsetImage(pixels, zoom=72 / DPI),
        clip.place,
        tuple(center.round()),
        boxcoords="figure pixels",
        pad=0.1,
        arrowprops={"arrowstyle": "-", "color": color, "shrinkA": 0, "shrinkB": 0},
        bboxprops={"edgecolor": color, "linewidth": 1.5},
    )
    box.set_zorder(3)
    axes.add_artist(box)
