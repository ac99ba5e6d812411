"""Shards on disk or at a URL: packed, committed and unpacked.

A shard is prepared as a store of loose files, then packed into one tar. Its index is
written last and is its commit: without it, the shard is unfinished, whatever else is
there. Its bytes depend on its videos alone.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightly_marlin.jobs.lock import wait_for_lock
from lightly_marlin.store.checks import is_whole, read_record
from lightly_marlin.store.format import (
    INDEX_NAME,
    TRACKS_NAME,
    VIDEO_NAME,
    TrackRow,
    VideoRecord,
    index_schema,
    video_id,
)
from lightly_marlin.store.repair import PREPARE
from lightly_marlin.store.shard_reading import (
    PACKED_NAME,
    PLAIN_COLUMNS,
    SHARD_KEY,
    TAR_NAME,
    VIDEOS_NAME,
    damaged_shard,
    finish_commit,
    read_shard_records,
    size_of,
)
from lightly_marlin.store.sharding import StoreLayout, shard_name
from lightly_marlin.store.tar_members import (
    TAR_BLOCK,
    TarWriter,
    copy_bytes,
    member_name,
)
from lightly_marlin.store.track_files import (
    VIDEO,
    as_loose,
    file_place,
    track_places,
)
from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write, write_json
from lightly_marlin.utils.remote import RemoteFolder

__all__ = ["WORK_PREFIX", "commit_shard", "unpack_shard", "write_shard"]

WORK_PREFIX = ".shard-"
"""Beginning of the name of folders for the files of a remote shard; a killed process
leaves them."""

# What a fingerprint has of the file; the rest is settings, alike for many videos.
_FILE_STATE = ("size", "mtime_ns", "etag")

_PACKING = ".packing"


def commit_shard(layout: StoreLayout, shard: int, folder: Path) -> None:
    """Packs a shard that was prepared as loose files, and commits it.

    Killed at any moment, it can be called again. What `folder` has stays.

    Args:
        layout: The store.
        shard: Number of the shard.
        folder: Store of loose files with the videos of the shard, all of them whole.
            The tar of a remote store is packed beside it.

    Raises:
        UsageError: If the store cannot be written.
    """
    records = []
    for place in (folder / TRACKS_NAME).glob(f"[!.]*/{VIDEO_NAME}"):
        record = read_record(place.parent)
        if record is not None and is_whole(record, folder):
            records.append(record)
    videos = [(record, folder) for record in records]
    write_shard(layout, shard, videos, scratch=folder.parent)


def write_shard(
    layout: StoreLayout,
    shard: int,
    videos: Iterable[tuple[VideoRecord, Path]],
    *,
    scratch: Path | None = None,
) -> None:
    """Writes a shard of videos from any stores, and commits it.

    Args:
        layout: The store.
        shard: Number of the shard.
        videos: Record of each video, and the folder of the store that has its tracks.
        scratch: Folder in which the files of a remote store are made; None for the
            system's temporary one.

    Raises:
        UsageError: If the store cannot be written.
    """
    ordered = sorted(videos, key=lambda video: video[0].source)
    try:
        if layout.is_remote:
            with tempfile.TemporaryDirectory(prefix=WORK_PREFIX, dir=scratch) as name:
                files = _write_files(Path(name), layout, shard, ordered)
                _upload(files, layout, shard)
            return
        folder = layout.shard_folder(shard)
        folder.mkdir(parents=True, exist_ok=True)
        # Written beside their places: what is there already stays readable.
        with wait_for_lock(folder, "shard"):
            finish_commit(folder)
            work = folder / _PACKING
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            try:
                _write_files(work, layout, shard, ordered)
                work.rename(folder / PACKED_NAME)
            finally:
                shutil.rmtree(work, ignore_errors=True)
            finish_commit(folder)
    except OSError as error:
        raise UsageError(
            f"The shard {layout.shard_path(shard)} cannot be written: "
            f"{error.strerror or error}. Make room, or choose another disk; the same "
            "command then goes on where it stopped."
        ) from error


def unpack_shard(layout: StoreLayout, shard: int, folder: Path) -> None:
    """Unpacks a finished shard into a store of loose files, to change it.

    What `folder` has of a video already is newer and stays.

    Args:
        layout: The store.
        shard: Number of the shard.
        folder: The folder of the loose store; created if missing. The tar of a remote
            store is fetched to a place beside it.

    Raises:
        UsageError: If the shard is unfinished or damaged, or the folder cannot be
            written.
    """
    records = read_shard_records(layout, shard)
    if records is None:
        raise UsageError(f"The shard {layout.shard_path(shard)} is unfinished.")
    scratch = folder.parent if layout.is_remote else None
    with tempfile.TemporaryDirectory(prefix=WORK_PREFIX, dir=scratch) as work:
        root = _with_tar(layout, shard, Path(work))
        tracks = folder / TRACKS_NAME
        try:
            tracks.mkdir(parents=True, exist_ok=True)
            for record in records.values():
                if not (tracks / video_id(record.source) / VIDEO_NAME).exists():
                    _unpack_video(record, root, folder)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"The shard {layout.shard_path(shard)} cannot be unpacked to {folder}: "
                f"{error}. If its tar is damaged, move the shard's folder out of the "
                f"store and prepare the videos again: {PREPARE}"
            ) from error


def _write_files(
    folder: Path,
    layout: StoreLayout,
    shard: int,
    videos: Sequence[tuple[VideoRecord, Path]],
) -> list[Path]:
    """Writes the files of a shard into a folder; returns them, the index last."""
    pa = require("pyarrow", "Writing a face store")
    parquet = require("pyarrow.parquet", "Writing a face store")
    tar, about, index = (folder / n for n in (TAR_NAME, VIDEOS_NAME, INDEX_NAME))
    rows = []
    with TarWriter(tar) as writer:
        for record, store in videos:
            for row in record.rows:
                offset, size = _add_track(writer, row, store)
                video = f"{shard_name(shard)}/{TAR_NAME}"
                place = replace(row, offset=offset, video_bytes=size)
                rows.append(replace(place, shard=shard, video=video))
    note = {"shard": shard, "shards": layout.num_shards, "tar_bytes": size_of(tar)}
    schema = index_schema()
    schema = schema.with_metadata({**schema.metadata, SHARD_KEY: json.dumps(note)})
    parquet.write_table(
        pa.Table.from_pylist([vars(row) for row in rows], schema=schema), index
    )
    columns = [_columns_of(record) for record, _ in videos]
    parquet.write_table(pa.Table.from_pylist(columns, schema=_videos_schema()), about)
    return [tar, about, index]


def _add_track(writer: TarWriter, row: TrackRow, store: Path) -> tuple[int, int]:
    """Appends a track's files; returns the place and size of its crops."""
    found = (0, 0)
    for name, place in track_places(row, store):
        member = file_place(replace(row, offset=0), store, name).member
        with place.path.open("rb") as file:
            size = place.size
            if size is None:
                size = place.path.stat().st_size
            file.seek(place.start)
            start = writer.add(member, file, size)
        if name == VIDEO:
            found = (start, size)
    return found


def _videos_schema() -> Any:
    pa = require("pyarrow", "Writing a face store")
    types = {"num_frames": pa.int64(), "retry": pa.bool_()}
    names = (*PLAIN_COLUMNS, "file_state", "settings", "weights")
    return pa.schema([(name, types.get(name, pa.string())) for name in names])


def _columns_of(record: VideoRecord) -> dict[str, Any]:
    """Returns the row of a video; its tracks are in the index."""
    state = {n: v for n, v in record.fingerprint.items() if n in _FILE_STATE}
    settings = {n: v for n, v in record.fingerprint.items() if n not in state}
    return {
        **{name: getattr(record, name) for name in PLAIN_COLUMNS},
        "file_state": json.dumps(state),
        "settings": json.dumps(settings),
        "weights": json.dumps(list(record.weights)),
    }


def _upload(files: Sequence[Path], layout: StoreLayout, shard: int) -> None:
    remote, folder = RemoteFolder(layout.path), shard_name(shard)
    remote.remove(f"{folder}/{INDEX_NAME}")
    for file in files:
        remote.put(file, f"{folder}/{file.name}")


def _with_tar(layout: StoreLayout, shard: int, work: Path) -> Path:
    """Returns the folder of a store that has the shard's tar, fetched if remote."""
    if not layout.is_remote:
        return Path(layout.path)
    name = f"{shard_name(shard)}/{TAR_NAME}"
    (work / name).parent.mkdir(parents=True)
    if not RemoteFolder(layout.path).fetch(name, work / name):
        raise damaged_shard(layout, shard, f"has no {TAR_NAME}")
    return work


def _unpack_video(record: VideoRecord, root: Path, folder: Path) -> None:
    """Writes the files of a video and its record, which comes last."""
    name = video_id(record.source)
    (folder / TRACKS_NAME / name).mkdir(exist_ok=True)
    loose = tuple(as_loose(row, name) for row in record.rows)
    for packed, row in zip(record.rows, loose, strict=True):
        for which, place in track_places(packed, root):
            with place.path.open("rb") as file:
                file.seek(place.start - TAR_BLOCK)
                if member_name(file.read(TAR_BLOCK)) != place.member:
                    raise ValueError(f"{place.path} has no {place.member}")
                target = file_place(row, folder, which).path
                with atomic_write(target) as temporary, temporary.open("wb") as out:
                    for piece in copy_bytes(file, place.size or 0):
                        out.write(piece)
    unpacked = replace(record, rows=loose)
    write_json(folder / TRACKS_NAME / name / VIDEO_NAME, unpacked.to_json())
