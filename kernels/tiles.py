"""Sizes of the tiles that programs of a kernel work on, and how to try others.

The environment variable `LIGHTLY_MARLIN_TILES`, read at the first import, replaces the
sizes for a whole process: `rows=2048/512,tubelets=1024/256` names the most elements of
a tile and the elements of a warp, for matrices of tokens and for pixels of tubelets.
These are the defaults; what is left out keeps its own.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

__all__ = [
    "DEFAULT_TILES",
    "TILES_VARIABLE",
    "RowTile",
    "TileSizes",
    "TubeletTile",
    "current_tiles",
    "parse_tiles",
    "row_tile",
    "tubelet_tile",
    "use_tiles",
]

TILES_VARIABLE = "LIGHTLY_MARLIN_TILES"
"""Environment variable that replaces the sizes of tiles."""

_MAX_CHANNELS = 64
# Up to so many channels are worked on one after the other: side by side they would be
# padded to a power of two, and the lanes of the padding have nothing to do.
_FEW_CHANNELS = 4
# What tiles of more channels hold, all channels together.
_ELEMENTS, _ELEMENTS_PER_WARP = 4096, 512
_MAX_WARPS = 8


class TileSizes(NamedTuple):
    """Sizes that all tiles are made from; powers of two.

    Attributes:
        row_elements: Elements of a tile of a matrix. 2048 at 4 warps make two 16-byte
            accesses of a thread in half precision, and enough programs on a
            multiprocessor to keep the memory busy.
        row_warp: Elements of such a tile for each of its warps.
        tubelet_pixels: Most pixels of a channel in a tile of a tubelet.
        tubelet_warp: Pixels of a channel for each warp. A tubelet of 2 x 16 x 16 has
            two warps, which repeat the arithmetic of its address; 8 pixels of a thread
            are one 16-byte access in half precision.
    """

    row_elements: int = 2048
    row_warp: int = 512
    tubelet_pixels: int = 1024
    tubelet_warp: int = 256

    def __str__(self) -> str:
        """The sizes as `LIGHTLY_MARLIN_TILES` has them."""
        return (
            f"rows={self.row_elements}/{self.row_warp},"
            f"tubelets={self.tubelet_pixels}/{self.tubelet_warp}"
        )


DEFAULT_TILES = TileSizes()


class RowTile(NamedTuple):
    """A tile of a matrix.

    Attributes:
        rows: Rows of a tile, a power of two.
        columns: Columns of a tile, a power of two.
        blocks: Tiles side by side that cover all columns.
        num_warps: Warps of a program.
    """

    rows: int
    columns: int
    blocks: int
    num_warps: int


class TubeletTile(NamedTuple):
    """A tile of the pixels of one tubelet, channels by (time, row, column).

    Attributes:
        channels: Channels in a tile, a power of two: 1 where a program goes through
            the channels one by one, else all of them, rounded up.
        area: Pixels of a channel in a tile, a power of two.
        blocks: Tiles that cover all pixels of a channel.
        num_warps: Warps of a program.
    """

    channels: int
    area: int
    blocks: int
    num_warps: int


def parse_tiles(text: str) -> TileSizes:
    """Reads sizes as the environment variable has them.

    Args:
        text: Such as "rows=2048/512,tubelets=1024/256", either part or none.

    Raises:
        ValueError: If it is not of this form, or a number is no power of two in
            [32, 8192], or a tile is smaller than what its warp takes.
    """
    fields = {"rows": ("row_elements", "row_warp")}
    fields["tubelets"] = ("tubelet_pixels", "tubelet_warp")
    sizes: dict[str, int] = {}
    for part in filter(None, text.split(",")):
        name, _, numbers = part.partition("=")
        values = [int(n) if n.isdecimal() else 0 for n in numbers.split("/")]
        valid = all(32 <= n <= 8192 and n & (n - 1) == 0 for n in values)
        if name not in fields or len(values) != 2 or not valid or values[0] < values[1]:
            raise ValueError(
                f"Invalid {TILES_VARIABLE} ({text!r}). It must look like "
                f"{str(DEFAULT_TILES)!r}: elements of a tile / of a warp, powers of "
                "two from 32 to 8192, the first not below the second."
            )
        sizes.update(zip(fields[name], values, strict=True))
    return DEFAULT_TILES._replace(**sizes)


_current = parse_tiles(os.environ.get(TILES_VARIABLE, ""))


def current_tiles() -> TileSizes:
    """Returns the sizes that kernels are started with now."""
    return _current


@contextmanager
def use_tiles(sizes: TileSizes) -> Iterator[None]:
    """Starts kernels with other sizes, in the whole process, while it is active.

    Args:
        sizes: The sizes.
    """
    global _current
    before, _current = _current, sizes
    try:
        yield
    finally:
        _current = before


def row_tile(num_columns: int) -> RowTile:
    """Returns a tile for rows of a length; widths of transformers leave no lane idle.

    Args:
        num_columns: Length of a row, >= 1.
    """
    return _row_tile(num_columns, _current)


def tubelet_tile(num_channels: int, area: int) -> TubeletTile | None:
    """Returns a tile for tubelets, or None if they have too many channels.

    Args:
        num_channels: C.
        area: Pixels of a channel, tubelet_size * patch_size**2.
    """
    return _tubelet_tile(num_channels, area, _current)


@functools.cache
def _row_tile(num_columns: int, sizes: TileSizes) -> RowTile:
    columns = num_columns & -num_columns
    if columns < 64:
        columns = _power_of_two(num_columns)
    columns = min(columns, sizes.row_elements)
    return RowTile(
        rows=sizes.row_elements // columns,
        columns=columns,
        blocks=-(-num_columns // columns),
        num_warps=_num_warps(sizes.row_elements, sizes.row_warp),
    )


@functools.cache
def _tubelet_tile(num_channels: int, area: int, sizes: TileSizes) -> TubeletTile | None:
    if num_channels > _MAX_CHANNELS:
        return None
    if num_channels <= _FEW_CHANNELS:
        block = min(_power_of_two(area), sizes.tubelet_pixels)
        warps = _num_warps(block, sizes.tubelet_warp)
        return TubeletTile(1, block, -(-area // block), warps)
    channels = _power_of_two(num_channels)
    block = min(_power_of_two(area), _ELEMENTS // channels)
    warps = _num_warps(channels * block, _ELEMENTS_PER_WARP)
    return TubeletTile(channels, block, -(-area // block), warps)


def _num_warps(elements: int, elements_per_warp: int) -> int:
    return max(1, min(_MAX_WARPS, elements // elements_per_warp))


def _power_of_two(number: int) -> int:
    """Returns the smallest power of two that is not below `number`."""
    return 1 << (number - 1).bit_length()
