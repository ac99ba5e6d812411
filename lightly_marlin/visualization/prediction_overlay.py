"""Predictions drawn over a frame: the box of a face and its most probable labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from lightly_marlin.visualization.drawing import (
    PERSON_COLORS,
    draw_text,
    fit_text,
    overlay_lines,
    text_width,
)

__all__ = ["FacePrediction", "draw_predictions"]

_TEXT = 14
_ROW = 22
_WIDTH = 190
_PAD = 8
_MAX_ROWS = 5
_BACK = (20, 22, 26)
_PAPER = (245, 246, 248)
_TRACK = (70, 74, 82)
_OPACITY = 0.72
# A frame that is smaller than this is enlarged, for the text to be readable.
_LEAST_SIDE = 360


@dataclass(frozen=True)
class FacePrediction:
    """A face in a frame and what is predicted of it.

    Attributes:
        box: Box x0, y0, x1, y1 in pixels of the frame.
        angle: Clockwise rotation of the box around its middle in radians.
        names: Names of labels, the most important first.
        scores: Scores of these labels.
        bars: Whether the scores are probabilities, which bars show.
        number: Number of the face, which determines its colour.
    """

    box: NDArray[np.floating]
    angle: float
    names: Sequence[str]
    scores: Sequence[float]
    bars: bool = True
    number: int = 0


def draw_predictions(
    frame: NDArray[np.uint8], faces: Sequence[FacePrediction]
) -> NDArray[np.uint8]:
    """Draws faces with a panel of up to 5 labels each.

    Args:
        frame: uint8 array (H, W, 3), RGB.
        faces: The faces; may be empty.

    Returns:
        uint8 array of even height and width, as video encoders ask for: small frames
        are enlarged.
    """
    height, width = frame.shape[:2]
    scale = max(1.0, _LEAST_SIDE / min(height, width))
    size = (_even(width * scale), _even(height * scale))
    picture = Image.fromarray(frame)
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    ratio = np.array([size[0] / width, size[1] / height])
    lines = [
        (_corners(face) * ratio, PERSON_COLORS[face.number % len(PERSON_COLORS)], 2.0)
        for face in faces
    ]
    picture = overlay_lines(picture, lines)
    taken: list[tuple[int, int, int, int]] = []
    for face, (corners, color, _) in zip(faces, lines, strict=True):
        _draw_panel(picture, face, corners, color, taken)
    return np.asarray(picture)


def _even(length: float) -> int:
    return max(2, 2 * round(length / 2))


def _corners(face: FacePrediction) -> NDArray[np.float64]:
    """Returns the corners of a box, closed, (5, 2)."""
    x0, y0, x1, y1 = (float(value) for value in face.box)
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]])
    middle = corners[:4].mean(axis=0)
    cos, sin = np.cos(face.angle), np.sin(face.angle)
    turn = np.array([[cos, sin], [-sin, cos]], dtype=np.float64)
    turned: NDArray[np.float64] = (corners - middle) @ turn + middle
    return turned


def _draw_panel(
    picture: Image.Image,
    face: FacePrediction,
    corners: NDArray[np.float64],
    color: tuple[int, int, int],
    taken: list[tuple[int, int, int, int]],
) -> None:
    """Draws the labels beside the box where there is room, otherwise over it.

    Args:
        picture: The frame, drawn on.
        face: The face.
        corners: Corners of its box in pixels of the picture.
        color: Colour of the face.
        taken: Places of earlier panels; this one is added, below those in its way.
    """
    rows = list(zip(face.names, face.scores, strict=True))[:_MAX_ROWS]
    if not rows:
        return
    width = min(_WIDTH, picture.width)
    height = min(len(rows) * _ROW + 2 * _PAD, picture.height)
    left, right = corners[:, 0].min(), corners[:, 0].max()
    x = right + _PAD
    if x + width > picture.width:
        x = left - _PAD - width
    x = int(np.clip(x, 0, picture.width - width))
    y = int(np.clip(corners[:, 1].min(), 0, picture.height - height))
    for _, top, _, bottom in [one for one in taken if _overlap(one, x, x + width)]:
        if y < bottom and top < y + height and bottom + height <= picture.height:
            y = bottom
    place = (x, y, x + width, y + height)
    taken.append(place)
    back = Image.new("RGB", (width, height), _BACK)
    picture.paste(Image.blend(picture.crop(place), back, _OPACITY), place)
    draw = ImageDraw.Draw(picture)
    for number, (name, score) in enumerate(rows):
        top = y + _PAD + number * _ROW
        _draw_row(draw, (x + _PAD, top), width - 2 * _PAD, name, score, face, color)


def _overlap(place: tuple[int, int, int, int], left: int, right: int) -> bool:
    """Returns whether a place shares columns with others."""
    return place[0] < right and left < place[2]


def _draw_row(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    width: int,
    name: str,
    score: float,
    face: FacePrediction,
    color: tuple[int, int, int],
) -> None:
    x, y = place
    number = f"{100 * score:.0f} %" if face.bars else f"{score:.3g}"
    room = width - text_width(number, _TEXT) - _PAD
    draw_text(draw, (x, y), fit_text(name, _TEXT, room), _TEXT, _PAPER)
    draw_text(draw, (x + width, y), number, _TEXT, _PAPER, "ra")
    if face.bars:
        bar = y + _ROW - 5
        draw.rectangle((x, bar, x + width - 1, bar + 2), fill=_TRACK)
        filled = round(width * min(1.0, max(0.0, score)))
        if filled:
            draw.rectangle((x, bar, x + filled - 1, bar + 2), fill=color)
