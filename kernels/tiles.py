"""Sizes of the tiles that programs of a kernel work on."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["RowTile", "TubeletTile", "row_tile", "tubelet_tile"]

# 16 elements per thread at 4 warps: two 16-byte accesses in half precision, one in
# uint8, and enough programs on a multiprocessor to keep the memory busy.
_ELEMENTS = 2048
_MAX_CHANNELS = 64
_ELEMENTS_PER_WARP = 512


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
        channels: The number of channels, rounded up to a power of two.
        area: Pixels of a channel in a tile, a power of two.
        blocks: Tiles that cover all pixels of a channel.
        num_warps: Warps of a program.
    """

    channels: int
    area: int
    blocks: int
    num_warps: int


def row_tile(num_columns: int) -> RowTile:
    """Returns a tile for rows of a length; widths of transformers leave no lane idle.

    Args:
        num_columns: Length of a row, >= 1.
    """
    columns = num_columns & -num_columns
    if columns < 64:
        columns = _power_of_two(num_columns)
    columns = min(columns, _ELEMENTS)
    return RowTile(
        rows=_ELEMENTS // columns,
        columns=columns,
        blocks=-(-num_columns // columns),
        num_warps=_ELEMENTS // _ELEMENTS_PER_WARP,
    )


def tubelet_tile(num_channels: int, area: int) -> TubeletTile | None:
    """Returns a tile for tubelets, or None if they have too many channels.

    Args:
        num_channels: C.
        area: Pixels of a channel, tubelet_size * patch_size**2.
    """
    if num_channels > _MAX_CHANNELS:
        return None
    channels = _power_of_two(num_channels)
    block = min(_power_of_two(area), 2 * _ELEMENTS // channels)
    warps = max(1, min(8, channels * block // _ELEMENTS_PER_WARP))
    return TubeletTile(channels, block, -(-area // block), warps)


def _power_of_two(number: int) -> int:
    """Returns the smallest power of two that is not below `number`."""
    return 1 << (number - 1).bit_length()
