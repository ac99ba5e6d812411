"""Finished shards, on disk or at a URL: their indexes and records, and their tars.

A shard without its index is unfinished, whatever else is there.
"""

from __future__ import annotations

import contextlib
import functools
import json
from pathlib import Path
from typing import Any

from lightly_marlin.jobs.lock import wait_for_lock
from lightly_marlin.store.format import INDEX_NAME, TrackRow, VideoRecord
from lightly_marlin.store.repair import MERGE, PREPARE
from lightly_marlin.store.sharding import StoreLayout, shard_name
from lightly_marlin.store.track_files import VIDEO, file_place, open_place
from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.remote import RemoteFolder

__all__ = [
    "PACKED_NAME",
    "PLAIN_COLUMNS",
    "SHARD_KEY",
    "TAR_NAME",
    "VIDEOS_NAME",
    "all_records",
    "check_tar",
    "damaged_shard",
    "finish_commit",
    "read_shard",
    "read_shard_records",
    "shard_note",
    "size_of",
]

TAR_NAME = "tracks.tar"
VIDEOS_NAME = "videos.parquet"
PACKED_NAME = ".packed"
"""Folder of a shard's new files, complete, on their way to their places."""

_ATTEMPTS = 3

SHARD_KEY = b"lightly_marlin.shard"
"""Key of what an index says of its shard, JSON, in its metadata."""

PLAIN_COLUMNS = ("source", "status", "reason", "num_frames", "retry", "path")
"""Fields of a record that are columns of `videos.parquet` as they are."""


def read_shard(layout: StoreLayout, shard: int) -> Any | None:
    """Returns the index of a shard, an Arrow table; None if it is unfinished.

    Args:
        layout: The store.
        shard: Number of the shard.

    Raises:
        UsageError: If it is damaged.
    """
    table = _read_table(layout, shard, INDEX_NAME)
    if table is not None:
        note = shard_note(layout, shard, table)
        if (note["shard"], note["shards"]) != (shard, layout.num_shards):
            raise damaged_shard(
                layout,
                shard,
                f"is shard {note['shard']} of a store with {note['shards']}",
            )
    return table


def read_shard_records(
    layout: StoreLayout, shard: int
) -> dict[str, VideoRecord] | None:
    """Returns the records of a shard's videos by source; None if it is unfinished.

    Args:
        layout: The store.
        shard: Number of the shard.

    Raises:
        UsageError: If it is damaged.
    """
    for _ in range(_ATTEMPTS):
        index = read_shard(layout, shard)
        if index is None:
            return None
        videos = _read_table(layout, shard, VIDEOS_NAME)
        if videos is None:
            raise damaged_shard(layout, shard, f"has no {VIDEOS_NAME}")
        if shard_note(layout, shard, videos) == shard_note(layout, shard, index):
            break
        # Committed anew between the two, perhaps.
    else:
        raise damaged_shard(layout, shard, f"has a {VIDEOS_NAME} of another one")
    try:
        return _records(index, videos)
    except (KeyError, TypeError, ValueError) as error:
        reason = f"has a damaged {VIDEOS_NAME} or {INDEX_NAME} ({error})"
        raise damaged_shard(layout, shard, reason) from error


def _records(index: Any, videos: Any) -> dict[str, VideoRecord]:
    """Returns the records of two tables of a shard."""
    rows: dict[str, list[TrackRow]] = {}
    for values in index.to_pylist():
        rows.setdefault(values["source"], []).append(TrackRow(**values))
    return {
        values["source"]: VideoRecord(
            **{name: values[name] for name in PLAIN_COLUMNS},
            rows=tuple(rows.get(values["source"], ())),
            fingerprint={
                **json.loads(values["file_state"]),
                **_parse(values["settings"]),
            },
            weights=_parse(values["weights"]),
        )
        for values in videos.to_pylist()
    }


def all_records(layout: StoreLayout) -> list[VideoRecord]:
    """Returns the records of all videos of the finished shards, sorted by source.

    Args:
        layout: The store.
    """
    found: dict[str, VideoRecord] = {}
    for shard in range(layout.num_shards):
        found |= read_shard_records(layout, shard) or {}
    return [found[source] for source in sorted(found)]


def finish_commit(folder: Path) -> None:
    """Moves a shard's new files to their places, if a killed process left them.

    The index is taken away first and comes last: no moment shows one beside a tar that
    it was not made for, and what is packed is never lost.

    Args:
        folder: Folder of the shard, locked.
    """
    packed = folder / PACKED_NAME
    if not packed.is_dir():
        return
    if (packed / TAR_NAME).exists():
        (folder / INDEX_NAME).unlink(missing_ok=True)
    for name in (TAR_NAME, VIDEOS_NAME, INDEX_NAME):
        with contextlib.suppress(FileNotFoundError):
            (packed / name).replace(folder / name)
    packed.rmdir()


def check_tar(layout: StoreLayout, shard: int, index: Any) -> None:
    """Checks that the tar of a shard is the one that its index was made for.

    Its length and the first and last names are compared, as reading all of it would
    take hours for a large store; each track's name is checked again when it is read.

    Args:
        layout: The store.
        shard: Number of the shard.
        index: What `read_shard` returned.

    Raises:
        UsageError: If it is missing, cut off or another one.
    """
    note = shard_note(layout, shard, index)
    name = note["tar"]
    if layout.is_remote:
        state = RemoteFolder(layout.path).state(f"{shard_name(shard)}/{name}")
        size = None if state is None else state["size"]
    else:
        size = size_of(layout.shard_folder(shard) / name)
    if size is None:
        raise damaged_shard(layout, shard, f"has no {name}")
    if size != note["tar_bytes"]:
        raise damaged_shard(
            layout,
            shard,
            f"has a {name} of {size} bytes, and {note['tar_bytes']} were written: it "
            "is cut off or another one",
        )
    if not layout.is_remote:
        for place in {0, index.num_rows - 1} if index.num_rows else ():
            row = TrackRow(**index.slice(place, 1).to_pylist()[0])
            try:
                with open_place(file_place(row, Path(layout.path), VIDEO)):
                    pass
            except UsageError as error:
                what = f"has a {name} that is damaged or of another shard"
                raise damaged_shard(layout, shard, what) from error


def shard_note(layout: StoreLayout, shard: int, table: Any) -> dict[str, Any]:
    """Returns what a table of a shard says of it.

    Args:
        layout: The store.
        shard: Number of the shard.
        table: Its index, or its table of videos.

    Returns:
        The numbers `shard` and `shards`, and name and size of the tar, `tar` and
        `tar_bytes`.

    Raises:
        UsageError: If the table is not of a shard.
    """
    try:
        note = json.loads((table.schema.metadata or {})[SHARD_KEY])
        return {name: note[name] for name in ("shard", "shards", "tar", "tar_bytes")}
    except (KeyError, TypeError, ValueError) as error:
        raise damaged_shard(
            layout, shard, "has a table that is not of a shard"
        ) from error


def size_of(path: Path) -> int | None:
    """Returns the bytes of a file; None if there is none.

    Args:
        path: The file.
    """
    try:
        return path.stat().st_size
    except OSError:
        return None


@functools.lru_cache(maxsize=64)
def _parse(text: str) -> Any:
    """Returns the value of a JSON text that many videos share; not to be changed."""
    return json.loads(text)


def _read_table(layout: StoreLayout, shard: int, name: str) -> Any | None:
    pa = require("pyarrow", "Reading a face store")
    parquet = require("pyarrow.parquet", "Reading a face store")
    try:
        if layout.is_remote:
            remote = RemoteFolder(layout.path)
            content = remote.read(f"{shard_name(shard)}/{name}")
            return (
                None if content is None else parquet.read_table(pa.py_buffer(content))
            )
        folder = layout.shard_folder(shard)
        file = folder / name
        while True:
            if (folder / PACKED_NAME).is_dir():
                with wait_for_lock(folder, "shard"):
                    finish_commit(folder)
            with contextlib.suppress(FileNotFoundError):
                # Read at once rather than as a data set of its folder.
                return parquet.ParquetFile(file).read()
            # Another process may just have taken it away, and put a new one there.
            if not (folder / PACKED_NAME).is_dir() and not file.exists():
                return None
    except (pa.ArrowException, OSError) as error:
        raise damaged_shard(layout, shard, f"has a damaged {name} ({error})") from error


def damaged_shard(layout: StoreLayout, shard: int, what: str) -> UsageError:
    """Returns the error for a shard that is not what was written.

    Args:
        layout: The store.
        shard: Number of the shard.
        what: What is wrong, after its name.
    """
    return UsageError(
        f"The shard {layout.shard_path(shard)} {what}. Move its folder out of the "
        f"store, prepare its videos again ({PREPARE} --shard {shard}), and merge: "
        f"{MERGE}"
    )
