"""Moving pictures that play anywhere."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from lightly_marlin.visualization.drawing import PAPER, stack

__all__ = ["write_gif"]

_PALETTE_FROM = 4
# Players slow down below two hundredths of a second.
_PAUSES = (20, 500)


def write_gif(
    path: Path | str, pictures: Sequence[Image.Image], seconds: float
) -> None:
    """Writes pictures as a GIF that plays for ever.

    Args:
        path: The file to write.
        pictures: RGB images of one size, at least one.
        seconds: How long one round takes; each picture stands for 20 to 500 ms, though.
    """
    # One palette for all, or colours would flicker; an octree keeps rare colours, such
    # as that of eyes; dithering would shimmer and double the size of the file.
    step = max(1, len(pictures) // _PALETTE_FROM)
    palette = stack(pictures[::step]).quantize(255, Image.Quantize.FASTOCTREE)
    # Its colours are means of many, but paper is to stay white. Pillow looks colours up
    # in steps of 4, so those nearly white would be taken for it.
    colors = np.array(palette.getpalette()).reshape(-1, 3)[:255]
    colors[colors.min(axis=1) >= 252] = PAPER
    palette.putpalette([*colors.ravel().tolist(), *PAPER])
    colored = [
        picture.quantize(palette=palette, dither=Image.Dither.NONE)
        for picture in pictures
    ]
    pause = 1000 * seconds / len(pictures)
    pause = min(max(pause, _PAUSES[0]), _PAUSES[1])
    # GIF counts in hundredths of a second: the ends of pauses are rounded, not each.
    ends = [round(pause * number / 10) * 10 for number in range(len(pictures) + 1)]
    colored[0].save(
        path,
        save_all=True,
        append_images=colored[1:],
        duration=[stop - start for start, stop in itertools.pairwise(ends)],
        loop=0,
    )
