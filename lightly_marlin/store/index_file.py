"""Index of a store on disk: Parquet for every program, Arrow to be mapped into memory.

A Parquet index of a million tracks takes seconds to read and hundreds of megabytes in
every process. The same table in Arrow's own format is mapped: it opens in milliseconds,
and all processes of a machine share its pages. It names the Parquet file that it is a
copy of, by a hash of that file's footer. Where that is another one, because a program
rewrote it or was killed in between, Parquet counts.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from lightly_marlin.store.format import (
    FORMAT_VERSION,
    INDEX_NAME,
    LOOSE,
    READ_VERSIONS,
    SHARDS_NAME,
    STORE_NAME,
    VERSION_KEY,
    TrackRow,
)
from lightly_marlin.store.repair import MERGE, PREPARE
from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write

__all__ = ["ARROW_NAME", "index_key", "read_index", "write_index"]

ARROW_NAME = "index.arrow"

_KEY = b"lightly_marlin.index_key"
_ROWS_PER_BATCH = 65_536
_TAIL_BYTES = 8
"""Length of the footer and the magic number, which end a Parquet file."""

# Columns that indexes of earlier releases lack, with what their tracks have.
_LATER = {"num_samples": 0, "shard": 0, "offset": LOOSE, "video_bytes": 0}


def write_index(table: Any, folder: Path) -> None:
    """Writes an index in both formats, atomically each.

    Args:
        table: Arrow table of `index_schema`, with the notes in its metadata.
        folder: The folder, which exists.
    """
    pa = require("pyarrow", "Writing a face store")
    parquet = require("pyarrow.parquet", "Writing a face store")
    with atomic_write(folder / INDEX_NAME) as index:
        parquet.write_table(table, index)
        with index.open("rb") as file:
            key = _footer_hash(file)
        copy = table.replace_schema_metadata({**(table.schema.metadata or {}), **key})
        # First the copy, which does not count before its original is in place.
        with (
            atomic_write(folder / ARROW_NAME) as temporary,
            pa.OSFile(str(temporary), "wb") as sink,
            pa.ipc.new_file(sink, copy.schema) as writer,
        ):
            writer.write_table(copy.combine_chunks(), max_chunksize=_ROWS_PER_BATCH)


def read_index(path: Path) -> Any:
    """Reads the index of a store.

    Args:
        path: The folder of the store.

    Returns:
        Arrow table with the columns of `TrackRow`; a memory map where that is possible.

    Raises:
        UsageError: If it is no face store, has another version or is damaged.
    """
    pa = require("pyarrow", "Reading a face store")
    index = path / INDEX_NAME
    try:
        if not index.is_file():
            raise UsageError(_why_no_store(path))
        # Opened once: a run that is writing may replace it in between.
        with index.open("rb") as file:
            return _read(path, file)
    except (pa.ArrowException, OSError) as error:
        raise UsageError(
            f"The index {index} cannot be read: {error}. If its disk is there, "
            f"prepare the videos again, which rebuilds the index: {PREPARE}"
        ) from error


def index_key(table: Any) -> str:
    """Returns what tells whether two open indexes are the same.

    Args:
        table: Result of `read_index`.
    """
    key: bytes = table.schema.metadata[_KEY]
    return key.decode()


def _read(path: Path, file: Any) -> Any:
    pa = require("pyarrow", "Reading a face store")
    parquet = require("pyarrow.parquet", "Reading a face store")
    schema = parquet.read_schema(file)
    metadata = schema.metadata or {}
    version = metadata.get(VERSION_KEY, b"unknown").decode()
    if version not in {str(known) for known in READ_VERSIONS}:
        raise UsageError(
            f"{path} is a face store of version {version}; this release reads "
            f"version {FORMAT_VERSION}. Prepare the videos again into a new "
            f"folder: {PREPARE}"
        )
    key = _footer_hash(file)
    if (mapped := _map(path / ARROW_NAME, key)) is not None:
        return mapped
    names = list(TrackRow.__dataclass_fields__)
    later = {name: value for name, value in _LATER.items() if name not in schema.names}
    table = parquet.read_table(file, columns=[n for n in names if n not in later])
    for name, value in later.items():
        dtype = np.int32 if name == "shard" else np.int64
        same = pa.array(np.full(table.num_rows, value, dtype))
        table = table.append_column(name, same)
    return table.replace_schema_metadata({**metadata, **key})


def _map(path: Path, key: dict[bytes, bytes]) -> Any | None:
    """Returns a table that is mapped into memory; None if it is not that of the key."""
    pa = require("pyarrow", "Reading a face store")
    try:
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    except (pa.ArrowException, OSError):
        return None
    return table if key.items() <= (table.schema.metadata or {}).items() else None


def _why_no_store(path: Path) -> str:
    if not path.exists():
        reason = (
            "there is no such folder. Check its name and that its disk is connected, "
            f"or make a store with: {PREPARE}"
        )
    elif (path / STORE_NAME).exists() and (path / SHARDS_NAME).is_dir():
        return (
            f"The shards of the face store {path} are not merged yet. When all are "
            f"prepared, merge them: {MERGE}"
        )
    else:
        reason = f"it has no {INDEX_NAME}. Make one with: {PREPARE}"
    return f"{path} is no face store: {reason}"


def _footer_hash(file: BinaryIO) -> dict[bytes, bytes]:
    """Returns a hash of a Parquet file's length and footer, as metadata.

    The footer has place, size and least and greatest values of every column.
    """
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - _TAIL_BYTES))
    tail = file.read(_TAIL_BYTES)
    length = int.from_bytes(tail[:4], "little") + len(tail)
    file.seek(max(0, end - length))
    digest = hashlib.blake2b(f"{end}/".encode() + file.read(length), digest_size=16)
    file.seek(0)
    return {_KEY: digest.hexdigest().encode()}
