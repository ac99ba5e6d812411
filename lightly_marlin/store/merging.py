"""One index of many shards, and one store of several.

The result does not depend on the order in which shards or stores are named, nor on
which machine prepared what.
"""

from __future__ import annotations

import itertools
import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightly_marlin.jobs.ledger import note_key
from lightly_marlin.jobs.record import STATUSES
from lightly_marlin.store.face_store import FaceStore
from lightly_marlin.store.format import (
    INDEX_NAME,
    REPORT_NAME,
    TRACKS_NAME,
    VideoRecord,
    index_schema,
    video_id,
)
from lightly_marlin.store.index_file import ARROW_NAME, write_index
from lightly_marlin.store.repair import PREPARE
from lightly_marlin.store.shard_commit import write_shard
from lightly_marlin.store.shard_reading import (
    check_tar,
    read_shard,
    read_shard_records,
)
from lightly_marlin.store.sharding import StoreLayout, shard_of
from lightly_marlin.store.tar_members import copy_bytes
from lightly_marlin.store.track_files import as_loose, file_place, track_places
from lightly_marlin.store.writer import StoreWriter, store_notes
from lightly_marlin.utils.console import progress
from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import write_json
from lightly_marlin.utils.remote import RemoteFolder, is_url

__all__ = ["MAX_REPORTED", "merge_shards", "merge_stores"]

MAX_REPORTED = 100_000
"""Videos up to which the report of a sharded store lists all; beyond, those with a
reason alone."""

_MAX_NAMED = 10


def merge_shards(store: Path | str) -> None:
    """Writes index and report of a sharded store from those of its shards.

    Args:
        store: Folder or URL of the store.

    Raises:
        UsageError: If it has no shards, some are unfinished, or one is damaged; the
            message names them.
    """
    layout = StoreLayout.read(store)
    if layout is None:
        raise UsageError(
            f"{store} is no sharded store. Make one with: {PREPARE} --shards N"
        )
    tables, records = _read_shards(layout)
    notes = store_notes(records)
    table = _sorted(tables).replace_schema_metadata(
        {
            **index_schema().metadata,
            **{note_key(name): json.dumps(notes[name]) for name in notes},
        }
    )
    report = {**_report(records), **notes}
    if layout.is_remote:
        _publish(layout, table, report)
        return
    folder = Path(layout.path)
    try:
        write_json(folder / REPORT_NAME, report)
        write_index(table, folder)
    except OSError as error:
        raise UsageError(
            f"The store {folder} cannot be written: {error.strerror or error}."
        ) from error


def merge_stores(paths: Sequence[Path | str], out: Path | str) -> None:
    """Puts the videos of several stores into one.

    Args:
        paths: Folders of the stores; with or without shards.
        out: Folder of the store to write. If it exists, it keeps its videos and gets
            those that it lacks, and its number of shards; it may be one of `paths`. A
            new one has as many shards as the first of `paths`.

    Raises:
        UsageError: If one is no store, or two have videos of the same name with
            different content; nothing is written then.
    """
    target = StoreLayout.read(out)
    if target is None and not (Path(out) / TRACKS_NAME).is_dir():
        first = StoreLayout.read(paths[0])
        if first is not None:
            target = StoreLayout.open(out, first.num_shards)
    same = [path for path in paths if _is_same(path, out)]
    others = [path for path in paths if path not in same]
    present = _videos_of(out) if same or _exists(out) else {}
    added = _new_videos(present, others)
    if target is None:
        _add_loose(Path(out), added)
        return
    _add_to_shards(target, present, added)
    merge_shards(out)


_Videos = dict[str, tuple[VideoRecord, Path]]


def _read_shards(layout: StoreLayout) -> tuple[list[Any], list[VideoRecord]]:
    """Returns indexes and records of all shards, checked."""
    tables: list[Any] = []
    records: list[VideoRecord] = []
    missing: list[int] = []
    with progress() as bar:
        task = bar.add_task("shards", total=layout.num_shards, unit="shards")
        for shard in range(layout.num_shards):
            table = read_shard(layout, shard)
            if table is None:
                missing.append(shard)
            else:
                check_tar(layout, shard, table)
                tables.append(table)
                records += (read_shard_records(layout, shard) or {}).values()
            bar.advance(task)
    if missing:
        named = ", ".join(map(str, missing[:_MAX_NAMED]))
        more = f" and {len(missing) - _MAX_NAMED} more" * (len(missing) > _MAX_NAMED)
        raise UsageError(
            f"{len(missing)} of the {layout.num_shards} shards of {layout.path} are "
            f"not finished: {named}{more}. Prepare them, each with: {PREPARE} --shards "
            f"{layout.num_shards} --shard I"
        )
    records.sort(key=lambda record: record.source)
    for one, other in itertools.pairwise(records):
        if one.source == other.source:
            raise UsageError(
                f"Two shards of {layout.path} have the video {one.source}: a shard was "
                "copied from a store with another number of shards. Prepare it again."
            )
    return tables, records


def _sorted(tables: Sequence[Any]) -> Any:
    """Returns the rows of all shards, by video; those of a video stay in order."""
    pa = require("pyarrow", "Writing a face store")
    compute = require("pyarrow.compute", "Writing a face store")
    plain = [table.replace_schema_metadata(None) for table in tables]
    table = pa.concat_tables(plain) if plain else index_schema().empty_table()
    return table.take(compute.sort_indices(table.column("source")))


def _report(records: Sequence[VideoRecord]) -> dict[str, Any]:
    statuses = Counter(record.status for record in records)
    totals = {"videos": len(records)}
    totals |= {name: statuses[name] for name in STATUSES}
    totals["tracks"] = sum(record.num_tracks for record in records)
    totals["frames"] = sum(record.num_frames for record in records)
    if len(records) > MAX_REPORTED:
        records = [record for record in records if record.reason is not None]
    return {"videos": [record.report_entry() for record in records], "totals": totals}


def _publish(layout: StoreLayout, table: Any, report: dict[str, Any]) -> None:
    """Uploads index and report of a remote store, the Parquet index last."""
    remote = RemoteFolder(layout.path)
    with tempfile.TemporaryDirectory(prefix="index-") as name:
        work = Path(name)
        write_json(work / REPORT_NAME, report)
        write_index(table, work)
        for file in (REPORT_NAME, ARROW_NAME, INDEX_NAME):
            remote.put(work / file, file)


def _exists(store: Path | str) -> bool:
    has_index = (Path(store) / INDEX_NAME).is_file()
    return StoreLayout.read(store) is not None or has_index


def _is_same(path: Path | str, out: Path | str) -> bool:
    if is_url(path) or is_url(out):
        return str(path).rstrip("/") == str(out).rstrip("/")
    return Path(path).resolve() == Path(out).resolve()


def _videos_of(store: Path | str) -> _Videos:
    """Returns the finished videos of a store, with the folder of their tracks."""
    layout = StoreLayout.read(store)
    if layout is None:
        opened = FaceStore(store)
        return {record.source: (record, opened.path) for record in opened.records()}
    if layout.is_remote:
        raise UsageError(
            f"{store} is remote. Copy it to a disk to join it with others."
        )
    videos: _Videos = {}
    for shard in range(layout.num_shards):
        records = read_shard_records(layout, shard) or {}
        videos |= {name: (one, Path(layout.path)) for name, one in records.items()}
    return videos


def _new_videos(present: _Videos, stores: Sequence[Path | str]) -> _Videos:
    """Returns what stores have beside what is present.

    Raises:
        UsageError: If two videos of one name differ.
    """
    known = {name: (record, "") for name, (record, _) in present.items()}
    added: _Videos = {}
    clashes = []
    for store in sorted(stores, key=str):
        for name, video in _videos_of(store).items():
            if name not in known:
                known[name] = (video[0], str(store))
                added[name] = video
            elif not _is_equal(known[name][0], video[0]):
                clashes.append(f"{name} of {store}")
    if clashes:
        raise UsageError(
            f"{len(clashes)} videos are in two of the stores with different content: "
            f"{', '.join(clashes[:_MAX_NAMED])}. Prepare the videos under different "
            "names, or leave one of the stores out."
        )
    return added


def _is_equal(one: VideoRecord, other: VideoRecord) -> bool:
    """Returns whether two records are of the same preparation of the same file."""
    return _essence(one) == _essence(other)


def _essence(record: VideoRecord) -> tuple[Any, ...]:
    rows = [as_loose(row, video_id(record.source)) for row in record.rows]
    # Copies of a file differ in their time.
    state = {n: v for n, v in record.fingerprint.items() if n != "mtime_ns"}
    return (record.status, record.num_frames, rows, state)


def _add_to_shards(target: StoreLayout, present: _Videos, added: _Videos) -> None:
    """Writes the shards that get videos, and those that are not there yet."""
    groups: list[_Videos] = [{} for _ in range(target.num_shards)]
    for name, video in added.items():
        groups[shard_of(name, target.num_shards)][name] = video
    kept: list[_Videos] = [{} for _ in range(target.num_shards)]
    for name, video in present.items():
        kept[shard_of(name, target.num_shards)][name] = video
    for shard, new in enumerate(groups):
        if new or read_shard(target, shard) is None:
            write_shard(target, shard, [*kept[shard].values(), *new.values()])


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
                    with place.path.open("rb") as file, target.open("wb") as copy:
                        file.seek(place.start)
                        size = place.size
                        if size is None:
                            size = place.path.stat().st_size
                        copy.writelines(copy_bytes(file, size))
                rows.append(loose)
            writer.add(replace(record, rows=tuple(rows)))
