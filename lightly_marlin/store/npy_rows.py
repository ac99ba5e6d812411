"""Rows of a `.npy` file: reader, memory map, and writer of a file that grows.

`numpy.load` with a memory map does the same, but spends most of its time parsing the
header and resolving the path, which matters when a clip takes 2 ms in total.
"""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from lightly_marlin.store.tar_members import TAR_BLOCK, member_name

__all__ = ["HEADER_BYTES", "create_npy", "map_array", "read_rows", "rows_of_bytes"]

HEADER_BYTES = 128
"""Length of the header that NumPy writes before any array of few dimensions."""


def read_rows(
    path: Path | str,
    dtype: npt.DTypeLike,
    shape: tuple[int, ...],
    rows: Sequence[int],
    *,
    start: int = 0,
    member: str = "",
) -> npt.NDArray[Any]:
    """Reads rows of an array, that is, entries along its first dimension.

    Args:
        path: A `.npy` file, or a tar with one.
        dtype: The type that the array must have; not object.
        shape: The shape the array must have.
        rows: Indices in [0, shape[0]), ascending.
        start: Place of the array's first byte in the file.
        member: Name that the tar must have for it; empty for a file of its own.

    Returns:
        Array with shape (len(rows), *shape[1:]).

    Raises:
        OSError: If the file cannot be read.
        ValueError: If the array has another dtype or shape, or is truncated, or the tar
            has another member there.
    """
    dtype = np.dtype(dtype)
    first, stop = (rows[0], rows[-1] + 1) if len(rows) else (0, 0)
    with open(path, "rb", buffering=0) as file:
        _check_header(file, dtype, shape, start, member)
        per_row = math.prod(shape[1:])
        file.seek(start + HEADER_BYTES + first * per_row * dtype.itemsize)
        values = np.fromfile(file, dtype=dtype, count=(stop - first) * per_row)
    if values.size < (stop - first) * per_row:
        raise ValueError("it is cut off")
    array: npt.NDArray[Any] = values.reshape(-1, *shape[1:])
    return array if len(rows) == len(array) else array[np.asarray(rows) - first]


def map_array(
    path: Path | str,
    dtype: npt.DTypeLike,
    shape: tuple[int, ...],
    *,
    start: int = 0,
    member: str = "",
) -> npt.NDArray[Any]:
    """Maps an array into memory: what is not looked at is not read.

    Args:
        path: A `.npy` file, or a tar with one.
        dtype: The type that the array must have; not object.
        shape: The shape the array must have; not empty.
        start: Place of the array's first byte in the file.
        member: Name that the tar must have for it; empty for a file of its own.

    Returns:
        A memory map that cannot be written.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If the array has another dtype or shape, or is truncated.
    """
    dtype = np.dtype(dtype)
    with open(path, "rb") as file:
        _check_header(file, dtype, shape, start, member)
        begin = start + HEADER_BYTES
        if file.seek(0, io.SEEK_END) < begin + math.prod(shape) * dtype.itemsize:
            raise ValueError("it is cut off")
        return np.memmap(file, dtype, "r", begin, shape)


def rows_of_bytes(
    content: bytes,
    dtype: npt.DTypeLike,
    shape: tuple[int, ...],
    rows: Sequence[int],
) -> npt.NDArray[Any]:
    """Returns rows of an array that is in memory, as `read_rows` does of a file.

    Args:
        content: Bytes of a `.npy` file.
        dtype: The type that the array must have; not object.
        shape: The shape the array must have.
        rows: Indices in [0, shape[0]), ascending.

    Raises:
        ValueError: If the array has another dtype or shape, or is truncated.
    """
    dtype = np.dtype(dtype)
    _check_header(io.BytesIO(content), dtype, shape, 0, "")
    count = math.prod(shape)
    if len(content) < HEADER_BYTES + count * dtype.itemsize:
        raise ValueError("it is cut off")
    values = np.frombuffer(content, dtype, count, HEADER_BYTES).reshape(shape)
    return values[np.asarray(rows, np.int64)]


def create_npy(
    path: Path | str, dtype: npt.DTypeLike, shape: tuple[int, ...]
) -> IO[bytes]:
    """Creates a `.npy` file of which only the header is written yet.

    Args:
        path: The file to write.
        dtype: The type of the array.
        shape: The shape that the array will have, of few dimensions.

    Returns:
        The file, open for writing, at the place of the first value.
    """
    file = open(path, "wb")  # noqa: SIM115
    header = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
        "fortran_order": False,
        "shape": shape,
    }
    np.lib.format.write_array_header_1_0(file, header)
    return file


def _check_header(
    file: BinaryIO,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    start: int,
    member: str,
) -> None:
    """Raises ValueError unless the array that was promised begins at `start`."""
    # One read of both headers, the tar's and the array's.
    before = TAR_BLOCK if member else 0
    file.seek(start - before)
    header = file.read(before + HEADER_BYTES)
    if member and (name := member_name(header)) != member:
        raise ValueError(f"it has {name!r} where {member} should be")
    found = _parse_header(header[before:])
    if found != (dtype, shape):
        raise ValueError(f"it holds {found[0]} {found[1]}, not {dtype} {shape}")


@functools.lru_cache(maxsize=1024)
def _parse_header(header: bytes) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Returns dtype and shape; raises ValueError unless it is a header of 128 bytes."""
    file = io.BytesIO(header)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("its format is not version 1.0 of NumPy's")
    try:
        shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
    except Exception as error:
        # A header is Python source: if damaged, its parser may raise anything.
        raise ValueError("its header is damaged") from error
    if fortran_order or file.tell() != HEADER_BYTES:
        raise ValueError("its layout is not what a face store writes")
    return dtype, shape
