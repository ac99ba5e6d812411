"""Places of a track's files: on their own, or in the tar of a shard."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from lightly_marlin.store.format import LOOSE, TRACKS_NAME, TrackRow, track_arrays
from lightly_marlin.store.npy_rows import HEADER_BYTES
from lightly_marlin.store.repair import damaged_file, lost_file
from lightly_marlin.store.tar_members import TAR_BLOCK, filled, member_name

__all__ = [
    "VIDEO",
    "FilePlace",
    "array_bytes",
    "as_loose",
    "file_bytes",
    "file_place",
    "member_of",
    "open_place",
    "track_files",
    "track_places",
]

VIDEO = "video"
"""Name of the crop video among a track's files; the others are its arrays."""


class FilePlace(NamedTuple):
    """Place of a file.

    Attributes:
        path: The file, or the tar that holds it.
        start: Its first byte there.
        size: Its bytes; None for all of a crop video that lies on its own.
        member: Its name in the tar; empty if it lies on its own.
    """

    path: Path
    start: int
    size: int | None
    member: str


def track_files(row: TrackRow) -> tuple[str, ...]:
    """Returns the names of a track's files, in the order in which a tar has them.

    Args:
        row: The track's row of the index.
    """
    return (VIDEO, *track_arrays(row.num_frames, row.num_samples))


def file_place(row: TrackRow, store: Path, name: str) -> FilePlace:
    """Returns the place of one of a track's files.

    Args:
        row: The track's row of the index.
        store: The folder of the store.
        name: `VIDEO`, or the name of an array that the track has.
    """
    if row.offset == LOOSE:
        path = row.video if name == VIDEO else row.array_path(name)
        size = None if name == VIDEO else array_bytes(row, name)
        return FilePlace(store / path, 0, size, "")
    start, size = row.offset, row.video_bytes
    for other in track_files(row):
        if other != VIDEO:
            start += TAR_BLOCK
            size = array_bytes(row, other)
        if other == name:
            break
        start += filled(size)
    return FilePlace(store / row.video, start, size, member_of(row, name))


def member_of(row: TrackRow, name: str) -> str:
    """Returns the name that a tar has for one of a track's files.

    Args:
        row: The track's row of the index.
        name: Name of the file, as `track_files` returns it.
    """
    return f"{row.track_id}.{'mov' if name == VIDEO else f'{name}.npy'}"


def array_bytes(row: TrackRow, name: str) -> int:
    """Returns the size of the file of one of a track's arrays.

    Args:
        row: The track's row of the index.
        name: Name of the array.
    """
    dtype, shape = track_arrays(row.num_frames, row.num_samples)[name]
    return HEADER_BYTES + math.prod(shape) * np.dtype(dtype).itemsize


def as_loose(row: TrackRow, video: str) -> TrackRow:
    """Returns a row as a store of loose files has it.

    Args:
        row: The row, of any store.
        video: The track's video, as `video_id` names it.
    """
    number = row.track_id.rpartition("_")[2]
    path = f"{TRACKS_NAME}/{video}/track_{number}.mov"
    return replace(row, video=path, shard=0, offset=LOOSE, video_bytes=0)


@contextlib.contextmanager
def open_place(place: FilePlace) -> Iterator[tuple[BinaryIO, int]]:
    """Opens a file at its first byte; yields it and the number of its bytes.

    Args:
        place: Where it is.

    Raises:
        UsageError: If it cannot be read, is cut off, or the tar has another one there.
    """
    try:
        file = place.path.open("rb")
    except OSError as error:
        raise lost_file("file", place.path, error) from error
    with file:
        end = os.fstat(file.fileno()).st_size
        size = end if place.size is None else place.size
        if place.start + size > end:
            raise damaged_file("file", place.path, "is cut off")
        if place.member:
            file.seek(place.start - TAR_BLOCK)
            if (name := member_name(file.read(TAR_BLOCK))) != place.member:
                reason = f"has {name!r} where {place.member} should be"
                raise damaged_file("file", place.path, reason)
        file.seek(place.start)
        yield file, size


def file_bytes(place: FilePlace) -> bytes:
    """Returns the content of a file.

    Args:
        place: Where it is.

    Raises:
        UsageError: As `open_place`.
    """
    with open_place(place) as (file, size):
        return file.read(size)


def track_places(row: TrackRow, store: Path) -> Iterator[tuple[str, FilePlace]]:
    """Yields the name and the place of each of a track's files.

    Args:
        row: The track's row of the index.
        store: The folder of the store.
    """
    for name in track_files(row):
        yield name, file_place(row, store, name)
