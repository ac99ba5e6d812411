"""One store of several, with shards or without.

The result does not depend on the order in which the stores are named.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lightly_marlin.store.face_store import FaceStore
from lightly_marlin.store.format import (
    INDEX_NAME,
    SHARDS_NAME,
    TRACKS_NAME,
    VideoRecord,
    video_id,
)
from lightly_marlin.store.merging import merge_shards, unfinished_shards
from lightly_marlin.store.repair import PREPARE
from lightly_marlin.store.shard_commit import write_shard
from lightly_marlin.store.shard_reading import read_shard_records
from lightly_marlin.store.sharding import StoreLayout, shard_of, shard_work
from lightly_marlin.store.tar_members import copy_bytes
from lightly_marlin.store.track_files import (
    as_loose,
    file_place,
    open_place,
    track_places,
)
from lightly_marlin.store.writer import StoreWriter
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.remote import is_url

__all__ = ["merge_stores"]

_MAX_NAMED = 10

# In a store that joining began, until it is whole.
_JOINING = ".joining"

# Record of each video, and the folder of the store with its tracks, by source.
_Videos = dict[str, tuple[VideoRecord, Path]]


def merge_stores(paths: Sequence[Path | str], out: Path | str) -> None:
    """Puts the videos of several stores into one.

    A video that several of them have is taken once; an attempt that failed for a
    transient reason gives way to one that did not. Killed, it can be called again.

    Args:
        paths: Folders of the stores; with or without shards.
        out: Folder of the store to write. If it exists, it keeps its videos and gets
            those that it lacks, and its number of shards; it may be one of `paths`. A
            new one has as many shards as the first of `paths`.

    Raises:
        UsageError: If one is no store or at a URL, shards are unfinished, or two have
            videos of the same name with different content; nothing is written then.
    """
    for path in (*paths, out):
        if is_url(path):
            raise UsageError(
                f"{path} is a URL. Stores are joined on a disk: copy it there, or "
                "prepare all videos into one store."
            )
    others = [path for path in paths if Path(path).resolve() != Path(out).resolve()]
    if not paths:
        raise UsageError("No store was named whose videos are to be put into another.")
    folder = Path(out).absolute()
    target = StoreLayout.read(out)
    begun = (folder / _JOINING).exists() or not (folder / SHARDS_NAME).is_dir()
    present: _Videos = {}
    if target is not None or (folder / INDEX_NAME).is_file():
        present = _videos_of(folder, may_lack_shards=begun)
    added = _new_videos(present, others)
    if target is None and not (folder / TRACKS_NAME).is_dir():
        first = StoreLayout.read(paths[0])
        if first is not None:
            target = StoreLayout.open(out, first.num_shards)
    if target is None:
        _add_loose(folder, added)
        return
    if begun:
        (folder / _JOINING).touch()
    _add_to_shards(target, added)
    merge_shards(out)
    (folder / _JOINING).unlink(missing_ok=True)


def _videos_of(store: Path | str, *, may_lack_shards: bool = False) -> _Videos:
    """Returns the videos of a store, with the folder of their tracks."""
    layout = StoreLayout.read(store)
    if layout is None:
        return _loose_videos(store, may_lack_records=may_lack_shards)
    videos: _Videos = {}
    unfinished = []
    for shard in range(layout.num_shards):
        records = read_shard_records(layout, shard)
        if records is None:
            unfinished.append(shard)
            continue
        videos |= {name: (one, Path(layout.path)) for name, one in records.items()}
    if unfinished and not may_lack_shards:
        raise unfinished_shards(layout, unfinished)
    return videos


def _loose_videos(store: Path | str, *, may_lack_records: bool) -> _Videos:
    opened = FaceStore(store)
    videos = {record.source: (record, opened.path) for record in opened.records()}
    if may_lack_records:
        return videos
    if lost := sorted(set(opened.column("source")).difference(videos)):
        raise UsageError(
            f"The store {store} lists {lost[0]}, whose record is gone or damaged. "
            f"Prepare its videos again: {PREPARE}"
        )
    return videos


def _new_videos(present: _Videos, stores: Sequence[Path | str]) -> _Videos:
    """Returns what stores have beside what is present, or have better.

    Raises:
        UsageError: If two videos of one name differ.
    """
    known = {name: record for name, (record, _) in present.items()}
    added: _Videos = {}
    clashes = []
    for store in sorted(stores, key=str):
        for name, video in _videos_of(store).items():
            if name not in known or _is_better(video[0], known[name]):
                known[name] = video[0]
                added[name] = video
            elif not _may_stay(known[name], video[0]):
                clashes.append(f"{name} of {store}")
    if clashes:
        raise _clash(clashes)
    return added


def _clash(clashes: Sequence[str]) -> UsageError:
    return UsageError(
        f"{len(clashes)} videos are in two of the stores with different content: "
        f"{', '.join(clashes[:_MAX_NAMED])}. Prepare the videos under different names, "
        "or leave one of the stores out."
    )


def _is_better(one: VideoRecord, other: VideoRecord) -> bool:
    return other.retry and not one.retry


def _may_stay(one: VideoRecord, other: VideoRecord) -> bool:
    """Returns whether a record stands for another one of the same video, too."""
    return other.retry or _essence(one) == _essence(other)


def _essence(record: VideoRecord) -> str:
    """Returns what is equal for the same preparation of the same file, as text."""
    rows = [as_loose(row, video_id(record.source)) for row in record.rows]
    # Copies of a file differ in their time, and in a bucket have a tag instead.
    state = {
        name: value
        for name, value in record.fingerprint.items()
        if name not in ("mtime_ns", "etag")
    }
    tracks = [dataclasses.asdict(row) for row in rows]
    # Text, as a measure that is NaN differs from itself.
    return json.dumps([record.status, record.num_frames, state, tracks], sort_keys=True)


def _add_to_shards(target: StoreLayout, added: _Videos) -> None:
    """Writes the shards that get videos, and those that are not there yet."""
    groups: list[_Videos] = [{} for _ in range(target.num_shards)]
    for name, video in added.items():
        groups[shard_of(name, target.num_shards)][name] = video
    for shard, new in enumerate(groups):
        if not new and read_shard_records(target, shard) is not None:
            continue
        with shard_work(target.shard_folder(shard)):
            # Again, as another process may have changed it since.
            found = read_shard_records(target, shard)
            kept = {
                name: (record, Path(target.path))
                for name, record in (found or {}).items()
            }
            missing = _unless_present(kept, new)
            if missing or found is None:
                write_shard(target, shard, {**kept, **missing}.values())


def _unless_present(kept: _Videos, new: _Videos) -> _Videos:
    missing = {
        name: video
        for name, video in new.items()
        if name not in kept or _is_better(video[0], kept[name][0])
    }
    clashes = [
        name
        for name in new.keys() - missing.keys()
        if not _may_stay(kept[name][0], new[name][0])
    ]
    if clashes:
        raise _clash(sorted(clashes))
    return missing


def _add_loose(out: Path, added: _Videos) -> None:
    """Copies videos into a store without shards."""
    with StoreWriter(out) as writer:
        for name in sorted(added):
            record, store = added[name]
            folder = writer.unfinished_folder(name)
            rows = []
            for row in record.rows:
                loose = as_loose(row, video_id(name))
                for which, place in track_places(row, store):
                    target = folder / file_place(loose, Path(), which).path.name
                    with open_place(place) as (file, size), target.open("wb") as copy:
                        copy.writelines(copy_bytes(file, size))
                rows.append(loose)
            writer.add(replace(record, rows=tuple(rows)))
