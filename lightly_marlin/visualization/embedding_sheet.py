"""Clips as points in a plane, coloured by the track that they are of."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from lightly_marlin.visualization.drawing import (
    INK,
    PALE,
    PAPER,
    PERSON_COLORS,
    SOFT,
    draw_text,
    fit_text,
    overlay_lines,
    stack,
    text_block,
)

__all__ = ["EmbeddedClip", "embedding_sheet", "track_colors"]

_SIDE = 900
_MARGIN = 64
_LEGEND = 380
_THUMBNAIL = 56
_BORDER = 3
_DOT = 5
_LINE = 22
# Rings around a dot on which its picture may lie, in pixels, and the places on a ring.
_RINGS = (52, 76, 104, 140)
_ANGLES = 16
_MAX_PICTURES = 60
_MAX_TRIES = 400


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


def embedding_sheet(
    clips: Sequence[EmbeddedClip],
    tracks: Sequence[str],
    axes: tuple[str, str] = ("", ""),
    meaning: str = "",
) -> Image.Image:
    """Draws clips as dots where they lie, and pictures as far as there is room.

    Both axes have the same scale. A picture lies near its dot, which a line leads to,
    where it covers neither a dot nor another picture; the first of each track comes
    before any second.

    Args:
        clips: At least one.
        tracks: The name of each track, for the legend.
        axes: What the axes are: horizontal, vertical.
        meaning: What may be read from the places, for a line below.

    Returns:
        RGB image.

    Raises:
        ValueError: If there is no clip, or one of a track without a name.
    """
    if not clips:
        raise ValueError("Invalid clips: there must be at least one.")
    for clip in clips:
        if not 0 <= clip.track < len(tracks):
            raise ValueError(
                f"Invalid track {clip.track}. There are {len(tracks)} names of tracks."
            )
    height = max(_SIDE, 2 * _MARGIN + _LINE * len(tracks))
    sheet = Image.new("RGB", (_SIDE + _LEGEND, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    box = (_MARGIN / 2, _MARGIN / 2, _SIDE - _MARGIN / 2, _SIDE - _MARGIN / 2)
    draw.rectangle(box, outline=PALE)
    draw_text(draw, (_SIDE / 2, _SIDE - 8), axes[0], 13, SOFT, "mb")
    draw_text(draw, (_MARGIN / 2, 8), axes[1], 13, SOFT)
    places = _to_pixels(np.array([clip.place for clip in clips], np.float64))
    colors = track_colors(len(tracks))
    pictured = _place_pictures([clip.track for clip in clips], places)
    lines = [
        (np.stack([places[index], center]), colors[clips[index].track], 1.5)
        for index, center in pictured.items()
    ]
    sheet = overlay_lines(sheet, lines)
    draw = ImageDraw.Draw(sheet)
    for place, clip in zip(places.tolist(), clips, strict=True):
        around = [value + step for step in (-_DOT, _DOT) for value in place]
        draw.ellipse(around, fill=colors[clip.track], outline=PAPER)
    for index, center in pictured.items():
        _draw_picture(sheet, clips[index], center, colors[clips[index].track])
    counts = np.bincount([clip.track for clip in clips], minlength=len(tracks))
    _draw_legend(draw, tracks, counts.tolist(), colors)
    if not meaning:
        return sheet
    block = Image.new("RGB", (sheet.width, 60), PAPER)
    block.paste(text_block(meaning, sheet.width - _MARGIN), (_MARGIN // 2, 0))
    return stack([sheet, block])


def track_colors(num_tracks: int) -> list[tuple[int, int, int]]:
    """Returns a colour for each track, all different.

    Args:
        num_tracks: How many are needed.

    Returns:
        RGB in [0, 255]: those of people for few tracks, else hues at even distances,
        light and dark by turns.
    """
    if num_tracks <= len(PERSON_COLORS):
        return list(PERSON_COLORS[:num_tracks])
    colors = []
    for index in range(num_tracks):
        value = (0.85, 0.5)[index % 2]
        red, green, blue = colorsys.hsv_to_rgb(index / num_tracks, 0.85, value)
        colors.append((round(255 * red), round(255 * green), round(255 * blue)))
    return colors


def _to_pixels(places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Returns places (n, 2) in pixels, centred, with the same scale for both axes."""
    middle = (places.max(axis=0) + places.min(axis=0)) / 2
    extent = float(np.ptp(places, axis=0).max())
    room = _SIDE - 2 * _MARGIN - _THUMBNAIL
    scale = room / extent if extent > 0 else 0.0
    pixels: npt.NDArray[np.float64] = (places - middle) * [scale, -scale] + _SIDE / 2
    return pixels


def _place_pictures(
    tracks: Sequence[int], places: npt.NDArray[np.float64]
) -> dict[int, npt.NDArray[np.float64]]:
    """Returns the centres (2,) in pixels of the pictures that have room, by clip."""
    # The first clip of every track comes before the second of any.
    rank: dict[int, int] = {}
    turns = []
    for index, track in enumerate(tracks):
        rank[track] = rank.get(track, 0) + 1
        turns.append((rank[track], index))
    turn = 2 * np.pi * np.arange(_ANGLES) / _ANGLES
    ring = np.stack([np.cos(turn), -np.sin(turn)], axis=-1)
    around = np.concatenate([radius * ring for radius in _RINGS])
    half = _THUMBNAIL / 2 + _BORDER
    edge = _MARGIN / 2 + half
    steps = np.linspace(0, 1, 9)[:, None, None]
    chosen: dict[int, npt.NDArray[np.float64]] = {}
    lines = np.empty((0, 2))
    for _, index in sorted(turns)[:_MAX_TRIES]:
        centers = places[index] + around
        free = ((centers > edge) & (centers < _SIDE - edge)).all(axis=-1)
        near = np.abs(places - places[index]).max(axis=-1) < _RINGS[-1] + half + _DOT
        others = np.array([*chosen.values()]).reshape(-1, 2)
        leading = places[index] + steps * (centers - places[index])
        for points, taken, distance in (
            (centers, places[near], half + _DOT),
            (centers, others, 2 * half + 4),
            (centers, lines, half),
            *((step, others, half) for step in leading),
        ):
            apart = np.abs(points[:, None] - taken[None]).max(axis=-1)
            free &= (apart > distance).all(axis=-1)
        if free.any():
            best = free.argmax()
            chosen[index] = centers[best]
            lines = np.concatenate([lines, leading[:, best]])
        if len(chosen) == _MAX_PICTURES:
            break
    return chosen


def _draw_picture(
    sheet: Image.Image,
    clip: EmbeddedClip,
    place: npt.NDArray[np.float64],
    color: tuple[int, int, int],
) -> None:
    side = _THUMBNAIL + 2 * _BORDER
    framed = Image.new("RGB", (side, side), color)
    size = (_THUMBNAIL, _THUMBNAIL)
    framed.paste(clip.picture.resize(size, Image.Resampling.LANCZOS), (_BORDER,) * 2)
    left, top = (round(value - side / 2) for value in place.tolist())
    sheet.paste(framed, (left, top))


def _draw_legend(
    draw: ImageDraw.ImageDraw,
    tracks: Sequence[str],
    counts: Sequence[int],
    colors: Sequence[tuple[int, int, int]],
) -> None:
    """Lists the tracks, each with its colour and the number of its clips."""
    draw_text(draw, (_SIDE, _MARGIN / 2), "tracks (clips)", 13, SOFT)
    top = _MARGIN / 2 + _LINE
    for name, count, color in zip(tracks, counts, colors, strict=True):
        draw.rectangle((_SIDE, top + 2, _SIDE + 12, top + 14), fill=color)
        number = f" ({count})"
        text = fit_text(name, 13, _LEGEND - 70) + number
        draw_text(draw, (_SIDE + 20, top), text, 13, INK)
        top += _LINE
