"""Contact sheets of a video's faces: frames with boxes, then crops by track."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
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
    text_width,
)
from lightly_marlin.visualization.region_colors import (
    paint_cells,
    paint_labels,
    region_legend,
)

__all__ = ["FaceCrop", "FaceMark", "SheetFrame", "SheetTrack", "face_sheet"]

_CROP = 224
_GAP = 8
_SECTION_GAP = 26
_MARGIN = 32
_CAPTION = 22
_MAX_FRAME_HEIGHT = 440
_PALE_FRAME = (238, 240, 243)

# Start, stop and closedness of the parts of the 68 landmarks.
_PARTS = (
    (0, 17, False),
    (17, 22, False),
    (22, 27, False),
    (27, 31, False),
    (31, 36, False),
    (36, 42, True),
    (42, 48, True),
    (48, 60, True),
    (60, 68, True),
)


@dataclass(frozen=True)
class FaceMark:
    """A face in a source frame.

    Attributes:
        text: Label at its box.
        person: Number of the person, which determines the colour.
        box: Crop box (4,) in source pixels.
        landmarks: Array with shape (68, 2) in source pixels.
    """

    text: str
    person: int
    box: NDArray[np.floating]
    landmarks: NDArray[np.floating]


@dataclass(frozen=True)
class SheetFrame:
    """A source frame: uint8 (H, W, 3), its caption, and the faces in it."""

    frame: NDArray[np.uint8]
    caption: str
    marks: Sequence[FaceMark] = ()


@dataclass(frozen=True)
class FaceCrop:
    """A face crop of a track.

    Attributes:
        crop: uint8 array with shape (224, 224, 3), RGB.
        landmarks: Array with shape (68, 2) in crop pixels.
        cells: Bit masks with shape (28, 28).
        labels: LaPa labels (224, 224); None if unknown.
        caption: Caption below it.
    """

    crop: NDArray[np.uint8]
    landmarks: NDArray[np.floating]
    cells: NDArray[np.integer]
    labels: NDArray[np.integer] | None
    caption: str


@dataclass(frozen=True)
class SheetTrack:
    """A track: its name, person, details, and crops, with None for an absent face.

    Only the details that fit on the line are shown.
    """

    name: str
    person: int
    details: Sequence[str]
    crops: Sequence[FaceCrop | None]


def face_sheet(
    title: str,
    details: str,
    frames: Sequence[SheetFrame],
    tracks: Sequence[SheetTrack],
    *,
    notes: Sequence[str] = (),
    num_columns: int = 6,
) -> Image.Image:
    """Draws the sheet of one video.

    Source frames come first, with crop boxes, names and landmarks; below them, per
    track, the crops with landmarks, with the regions painted, and with the region cells
    painted. A track of a single crop shows the three side by side.

    Args:
        title: Name of the video.
        details: Line below the name.
        frames: Source frames of one size; may be empty.
        tracks: Tracks; may be empty.
        notes: Lines below the details, such as the reason why there is no track.
        num_columns: Width of the sheet in crops of 224 pixels.

    Returns:
        RGB image.
    """
    width = num_columns * (_CROP + _GAP) - _GAP
    sections = [_heading(title, details, notes, width)]
    if frames:
        sections.append(_frames(frames, width, num_columns))
    sections += [_track(track, width) for track in tracks]
    if tracks:
        sections.append(_legend(width))
    return stack(sections, _SECTION_GAP, _MARGIN)


def _heading(title: str, details: str, notes: Sequence[str], width: int) -> Image.Image:
    """Draws name, details and notes."""
    picture = Image.new("RGB", (width, 56 + 22 * len(notes)), PAPER)
    draw = ImageDraw.Draw(picture)
    draw_text(draw, (0, 0), fit_text(title, 26, width), 26)
    draw_text(draw, (0, 36), fit_text(details, 15, width), 15, SOFT)
    for number, note in enumerate(notes):
        place = (0, 60 + 22 * number)
        draw_text(draw, place, fit_text(note, 15, width), 15)
    return picture


def _frames(frames: Sequence[SheetFrame], width: int, num_columns: int) -> Image.Image:
    """Draws the source frames, wide ones in two rows, to keep faces visible."""
    height, breadth = frames[0].frame.shape[:2]
    per_row = min(num_columns, len(frames))
    if breadth > 1.2 * height and per_row > 1:
        per_row = -(-per_row // 2)
    room = (width - (per_row - 1) * _GAP) / per_row
    scale = min(room / breadth, _MAX_FRAME_HEIGHT / height)
    size = (max(1, round(breadth * scale)), max(1, round(height * scale)))
    rows = -(-len(frames) // per_row)
    step = (round(room) + _GAP, size[1] + _CAPTION + _GAP)
    picture = Image.new("RGB", (width, rows * step[1] - _GAP), PAPER)
    draw = ImageDraw.Draw(picture)
    for number, frame in enumerate(frames):
        row, column = divmod(number, per_row)
        left, top = column * step[0], row * step[1]
        picture.paste(_draw_frame(frame, size), (left, top))
        draw_text(draw, (left, top + size[1] + 5), frame.caption, 13, SOFT)
    return picture


def _draw_frame(frame: SheetFrame, size: tuple[int, int]) -> Image.Image:
    """Draws one source frame with its faces at a size (width, height)."""
    height, width = frame.frame.shape[:2]
    picture = Image.fromarray(frame.frame).resize(size, Image.Resampling.LANCZOS)
    scale = np.array([size[0] / width, size[1] / height])
    lines = []
    for mark in frame.marks:
        color = PERSON_COLORS[mark.person % len(PERSON_COLORS)]
        x0, y0, x1, y1 = mark.box
        corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]])
        lines.append((corners * scale, color, 1.5))
        points = (mark.landmarks + 0.5) * scale
        lines += [(part, color, 0.8) for part in _contours(points)]
    picture = overlay_lines(picture, lines)
    draw = ImageDraw.Draw(picture)
    for mark in frame.marks:
        corner = mark.box[:2] * scale
        _tag(draw, mark.text, PERSON_COLORS[mark.person % len(PERSON_COLORS)], corner)
    return picture


def _contours(points: NDArray[np.floating]) -> list[NDArray[np.floating]]:
    """Returns the lines through landmarks (68, 2), by part of the face."""
    contours = []
    for start, stop, closed in _PARTS:
        part = points[start:stop]
        contours.append(np.concatenate([part, part[:1]]) if closed else part)
    return contours


def _tag(
    draw: ImageDraw.ImageDraw,
    text: str,
    color: tuple[int, int, int],
    corner: NDArray[np.floating],
) -> None:
    """Writes a name on a coloured tag over the upper left corner of a box."""
    # A pixel to the left: the box's line is centred on its edge.
    x, y = max(0.0, float(corner[0]) - 1), max(0.0, float(corner[1]) - 16)
    width = text_width(text, 12) + 8
    draw.rectangle((x, y, x + width, y + 16), fill=color)
    draw_text(draw, (x + 4, y + 8), text, 12, INK, "lm")


def _track(track: SheetTrack, width: int) -> Image.Image:
    """Draws a track: a line of details, then its crops."""
    heading = Image.new("RGB", (width, 26), PAPER)
    draw = ImageDraw.Draw(heading)
    color = PERSON_COLORS[track.person % len(PERSON_COLORS)]
    draw.rounded_rectangle((0, 4, 14, 18), 3, fill=color)
    draw_text(draw, (24, 11), track.name, 16, INK, "lm")
    left = 24 + text_width(track.name, 16) + 14
    details = list(track.details)
    while text_width(" · ".join(details), 13) > width - left:
        details.pop()
    draw_text(draw, (left, 12), " · ".join(details), 13, SOFT, "lm")
    columns = [_crop_pictures(crop) for crop in track.crops]
    captions = ["" if crop is None else crop.caption for crop in track.crops]
    if len(columns) == 1:
        return stack([heading, _row(columns[0], captions)])
    rows = list(zip(*columns, strict=True))
    last = [_row(rows[-1], captions)]
    return stack([heading, *(_row(row, [], _GAP) for row in rows[:-1]), *last])


def _crop_pictures(crop: FaceCrop | None) -> list[Image.Image]:
    """Returns the crop with landmarks, with regions, and with cells."""
    if crop is None:
        return [_empty("not in this frame"), _empty(""), _empty("")]
    points = crop.landmarks + 0.5
    lines = [(part, (255, 255, 255), 0.8) for part in _contours(points)]
    first = overlay_lines(
        Image.fromarray(crop.crop), lines, [(points, (255, 255, 255), 2.0)]
    )
    if crop.labels is None:
        second = _empty("kept as cells only")
    else:
        second = Image.fromarray(paint_labels(crop.crop, crop.labels))
    return [first, second, Image.fromarray(paint_cells(crop.crop, crop.cells))]


def _empty(text: str) -> Image.Image:
    """Returns the placeholder of an absent crop."""
    picture = Image.new("RGB", (_CROP, _CROP), _PALE_FRAME)
    place = (_CROP / 2, _CROP / 2)
    draw_text(ImageDraw.Draw(picture), place, text, 13, SOFT, "mm")
    return picture


def _row(
    pictures: Sequence[Image.Image], captions: Sequence[str], below: int = _CAPTION
) -> Image.Image:
    """Returns pictures side by side, with captions below."""
    width = len(pictures) * (_CROP + _GAP) - _GAP
    row = Image.new("RGB", (width, _CROP + below), PAPER)
    draw = ImageDraw.Draw(row)
    for number, picture in enumerate(pictures):
        row.paste(picture, (number * (_CROP + _GAP), 0))
    for number, caption in enumerate(captions):
        draw_text(draw, (number * (_CROP + _GAP), _CROP + 5), caption, 13, SOFT)
    return row


def _legend(width: int) -> Image.Image:
    """Draws the legend of region colours, below a line."""
    return stack([Image.new("RGB", (width, 1), PALE), region_legend(width)], gap=9)
