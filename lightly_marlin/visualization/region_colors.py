"""Colours of facial regions in pictures: paint, hatching and legend."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from lightly_marlin.regions import CELL_SIZE, NUM_LABELS, Label
from lightly_marlin.visualization.drawing import PAPER, SOFT, draw_text, text_width

__all__ = [
    "REGION_COLORS",
    "cell_colors",
    "front_labels",
    "hatch",
    "paint_cells",
    "paint_labels",
    "region_legend",
]

_STRENGTH = 0.55
_HATCH_COLORS = ((0.05, 0.05, 0.05), (0.55, 0.55, 0.55))
_HATCH_WIDTH = 4

_SIZE = 13
_LINE = 22
_BOX = 14
_BETWEEN = 20

REGION_COLORS: dict[Label, tuple[float, float, float]] = {
    Label.BACKGROUND: (0.35, 0.35, 0.38),
    Label.SKIN: (0.98, 0.75, 0.55),
    Label.LEFT_EYEBROW: (0.45, 0.30, 0.85),
    Label.RIGHT_EYEBROW: (0.45, 0.30, 0.85),
    Label.LEFT_EYE: (0.10, 0.55, 0.95),
    Label.RIGHT_EYE: (0.10, 0.55, 0.95),
    Label.NOSE: (0.10, 0.75, 0.45),
    Label.UPPER_LIP: (0.90, 0.20, 0.30),
    Label.INNER_MOUTH: (0.55, 0.05, 0.15),
    Label.LOWER_LIP: (0.90, 0.20, 0.30),
    Label.HAIR: (0.85, 0.65, 0.10),
}
"""Colour of each region in pictures, RGB in [0, 1]."""

_PAINT_ORDER = (
    Label.BACKGROUND,
    Label.SKIN,
    Label.HAIR,
    Label.NOSE,
    Label.LEFT_EYEBROW,
    Label.RIGHT_EYEBROW,
    Label.UPPER_LIP,
    Label.LOWER_LIP,
    Label.INNER_MOUTH,
    Label.LEFT_EYE,
    Label.RIGHT_EYE,
)

_RGB = np.array([REGION_COLORS[Label(index)] for index in range(NUM_LABELS)])

_REGIONS = (
    ("skin", Label.SKIN),
    ("brows", Label.LEFT_EYEBROW),
    ("eyes", Label.LEFT_EYE),
    ("nose", Label.NOSE),
    ("lips", Label.UPPER_LIP),
    ("inner mouth", Label.INNER_MOUTH),
    ("hair", Label.HAIR),
)


def cell_colors(cells: Tensor) -> Tensor:
    """Returns the colours of region cells, the rarest label of a cell in front.

    Args:
        cells: int32 bit masks with shape (B, T, H / 8, W / 8).

    Returns:
        float32 tensor (B, 3, T, H, W), RGB in [0, 1].
    """
    label = front_labels(cells)
    colors = torch.tensor(_RGB, dtype=torch.float32, device=cells.device)
    paint = colors[label].permute(0, 4, 1, 2, 3)
    for dim in (3, 4):
        paint = paint.repeat_interleave(CELL_SIZE, dim)
    return paint


def front_labels(cells: Tensor) -> Tensor:
    """Returns the representative label of each cell: its last one in paint order.

    Args:
        cells: int32 bit masks of any shape.

    Returns:
        int64 labels in [0, 10] of the same shape.
    """
    label = cells.new_zeros(cells.shape, dtype=torch.int64)
    for region in _PAINT_ORDER:
        occurs = cells.bitwise_right_shift(int(region)).bitwise_and(1).bool()
        label = torch.where(occurs, int(region), label)
    return label


def paint_labels(
    crop: NDArray[np.uint8], labels: NDArray[np.integer]
) -> NDArray[np.uint8]:
    """Paints a label map over a crop; background remains unchanged.

    Args:
        crop: uint8 array with shape (H, W, 3), RGB.
        labels: Integer array with shape (H, W) of LaPa labels in [-1, 10].

    Returns:
        uint8 array with shape (H, W, 3).
    """
    strength = np.where(labels > Label.BACKGROUND, _STRENGTH, 0.0)[..., None]
    painted = crop * (1 - strength) + _RGB[np.maximum(labels, 0)] * 255 * strength
    return np.asarray(painted.round(), dtype=np.uint8)


def paint_cells(
    crop: NDArray[np.uint8], bits: NDArray[np.integer]
) -> NDArray[np.uint8]:
    """Paints region cells over a crop, the rarest label of each in front.

    Args:
        crop: uint8 array with shape (H, W, 3), RGB.
        bits: Bit masks with shape (H / 8, W / 8), see `RegionCells`.

    Returns:
        uint8 array with shape (H, W, 3).
    """
    front = front_labels(torch.from_numpy(bits.astype(np.int32))).numpy()
    side = np.ones((CELL_SIZE, CELL_SIZE), dtype=front.dtype)
    return paint_labels(crop, np.kron(front, side))


def hatch(height: int, width: int) -> Tensor:
    """Returns diagonal stripes, float32 (height, width, 3), RGB in [0, 1]."""
    diagonal = torch.arange(height)[:, None] + torch.arange(width)
    return torch.tensor(_HATCH_COLORS)[diagonal // _HATCH_WIDTH % 2]


def region_legend(
    width: int,
    *,
    regions: bool = True,
    background: str | None = None,
    hatched: str | None = None,
) -> Image.Image:
    """Draws the legend of region colours, in as many lines as needed.

    Args:
        width: Width of the picture in pixels.
        regions: Include the regions of the face.
        background: Meaning of the background's colour, if it is painted.
        hatched: Meaning of hatching, if there is any.

    Returns:
        RGB image.
    """
    entries = [(name, _swatch(label)) for name, label in _REGIONS if regions]
    if background is not None:
        entries.append((background, _swatch(Label.BACKGROUND)))
    if hatched is not None:
        entries.append((hatched, _to_image(hatch(_BOX, _BOX))))
    places = _flow([name for name, _ in entries], width)
    lines = places[-1][1] + 1 if places else 0
    picture = Image.new("RGB", (width, _LINE * lines), PAPER)
    draw = ImageDraw.Draw(picture)
    for (name, swatch), (left, line) in zip(entries, places, strict=True):
        picture.paste(swatch, (left, _LINE * line + (_LINE - _BOX) // 2), _rounded())
        place = (left + _BOX + 7, _LINE * line + _LINE // 2)
        draw_text(draw, place, name, _SIZE, SOFT, "lm")
    return picture


def _swatch(label: Label) -> Image.Image:
    return _to_image(torch.tensor(REGION_COLORS[label]).expand(_BOX, _BOX, 3))


def _to_image(colors: Tensor) -> Image.Image:
    """Returns float32 colours (height, width, 3) in [0, 1] as an image."""
    pixels = colors.mul(255).round().to(torch.uint8).contiguous().numpy()
    return Image.fromarray(pixels, "RGB")


def _rounded() -> Image.Image:
    """Returns a square with round corners, as a mask for pasting."""
    mask = Image.new("L", (_BOX, _BOX))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, _BOX - 1, _BOX - 1), 3, fill=255)
    return mask


def _flow(names: Sequence[str], width: int) -> list[tuple[int, int]]:
    """Returns left edge and line number of each entry."""
    places = []
    left = line = 0
    for name in names:
        taken = _BOX + 7 + text_width(name, _SIZE)
        if left > 0 and left + taken > width:
            left, line = 0, line + 1
        places.append((left, line))
        left += taken + _BETWEEN
    return places
