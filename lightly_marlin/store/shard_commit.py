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
from lightly_marlin.store.repair import TAR_SUFFIX
from lightly_marlin.store.shard_reading import (
    PACKED_NAME,
    PLAIN_COLUMNS,
    SHARD_KEY,
    TAR_NAME,
    VIDEOS_NAME,
    damaged_shard,
    finish_commit,
    read_shard,
    read_shard_records,
    shard_note,
    size_of,
)
from lightly_marlin.store.sharding import StoreLayout, shard_name
from lightly_marlin.store.tar_members import (
    TarWriter,
    copy_bytes,
)
from lightly_marlin.store.track_files import (
    VIDEO,
    as_loose,
    file_place,
    open_place,
    track_places,
)
from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write, file_sha256, write_json
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
        UsageError: If a video is not whole, or the store cannot be written.
    """
    videos = []
    for place in (folder / TRACKS_NAME).glob(f"[!.]*/{VIDEO_NAME}"):
        record = read_record(place.parent)
        if record is None or not is_whole(record, folder):
            raise UsageError(
                f"The video in {place.parent} is damaged or not whole. Remove that "
                "folder, and prepare the videos again with it among them."
            )
        videos.append((record, folder))
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
            again = read_shard(layout, shard) is not None
            with tempfile.TemporaryDirectory(prefix=WORK_PREFIX, dir=scratch) as name:
                work = Path(name)
                _write_files(work, layout, shard, ordered, rename_tar=again)
                _upload(work, layout, shard)
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
                earlier = read_record(tracks / video_id(record.source))
                if earlier is None or not is_whole(earlier, folder):
                    _unpack_video(record, root, folder)
        except OSError as error:
            raise UsageError(
                f"The shard {layout.shard_path(shard)} cannot be unpacked to {folder}: "
                f"{error.strerror or error}. Make room; the same command then goes on."
            ) from error


def _write_files(
    folder: Path,
    layout: StoreLayout,
    shard: int,
    videos: Sequence[tuple[VideoRecord, Path]],
    *,
    rename_tar: bool = False,
) -> None:
    """Writes the files of a shard into a folder.

    Args:
        folder: An empty folder.
        layout: The store.
        shard: Number of the shard.
        videos: Record and store of each video, in order.
        rename_tar: Name the tar after its content, so that it replaces no other one.
    """
    pa = require("pyarrow", "Writing a face store")
    parquet = require("pyarrow.parquet", "Writing a face store")
    tar = folder / TAR_NAME
    rows = []
    with TarWriter(tar) as writer:
        for record, store in videos:
            for row in record.rows:
                offset, size = _add_track(writer, row, store)
                place = replace(row, offset=offset, video_bytes=size)
                rows.append(replace(place, shard=shard))
    if rename_tar:
        tar = tar.rename(folder / f"tracks-{file_sha256(tar)[:16]}.tar")
    video = f"{shard_name(shard)}/{tar.name}"
    note = {
        "shard": shard,
        "shards": layout.num_shards,
        "tar": tar.name,
        "tar_bytes": size_of(tar),
    }
    metadata = {SHARD_KEY: json.dumps(note)}
    tables = {
        VIDEOS_NAME: pa.Table.from_pylist(
            [_columns_of(record) for record, _ in videos],
            schema=_videos_schema().with_metadata(metadata),
        ),
        INDEX_NAME: pa.Table.from_pylist(
            [vars(replace(row, video=video)) for row in rows],
            schema=index_schema().with_metadata(
                {**index_schema().metadata, **metadata}
            ),
        ),
    }
    for name, table in tables.items():
        parquet.write_table(table, folder / name)


def _add_track(writer: TarWriter, row: TrackRow, store: Path) -> tuple[int, int]:
    """Appends a track's files; returns the place and size of its crops."""
    found = (0, 0)
    for name, place in track_places(row, store):
        member = file_place(replace(row, offset=0), store, name).member
        with open_place(place) as (file, size):
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


def _upload(files: Path, layout: StoreLayout, shard: int) -> None:
    """Uploads the files of a shard, the index last.

    Nothing is removed before: until then, the shard is what it was.
    """
    remote, folder = RemoteFolder(layout.path), shard_name(shard)
    (tar,) = files.glob(f"*{TAR_SUFFIX}")
    for name in (tar.name, VIDEOS_NAME, INDEX_NAME):
        remote.put(files / name, f"{folder}/{name}")


def _with_tar(layout: StoreLayout, shard: int, work: Path) -> Path:
    """Returns the folder of a store that has the shard's tar, fetched if remote."""
    if not layout.is_remote:
        return Path(layout.path)
    tar = shard_note(layout, shard, read_shard(layout, shard))["tar"]
    name = f"{shard_name(shard)}/{tar}"
    (work / name).parent.mkdir(parents=True)
    if not RemoteFolder(layout.path).fetch(name, work / name):
        raise damaged_shard(layout, shard, f"has no {tar}")
    return work


def _unpack_video(record: VideoRecord, root: Path, folder: Path) -> None:
    """Writes the files of a video and its record, which comes last."""
    name = video_id(record.source)
    (folder / TRACKS_NAME / name).mkdir(exist_ok=True)
    loose = tuple(as_loose(row, name) for row in record.rows)
    for packed, row in zip(record.rows, loose, strict=True):
        for which, place in track_places(packed, root):
            target = file_place(row, folder, which).path
            with (
                open_place(place) as (file, size),
                atomic_write(target) as temporary,
                temporary.open("wb") as out,
            ):
                out.writelines(copy_bytes(file, size))
    unpacked = replace(record, rows=loose)
    write_json(folder / TRACKS_NAME / name / VIDEO_NAME, unpacked.to_json())
