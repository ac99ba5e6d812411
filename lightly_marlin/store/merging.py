"""One index of many shards; which machine prepared what does not matter."""

from __future__ import annotations

import itertools
import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightly_marlin.jobs.ledger import note_key
from lightly_marlin.jobs.record import STATUSES
from lightly_marlin.store.format import (
    INDEX_NAME,
    REPORT_NAME,
    VideoRecord,
    index_schema,
)
from lightly_marlin.store.index_file import ARROW_NAME, write_index
from lightly_marlin.store.repair import PREPARE
from lightly_marlin.store.shard_reading import (
    check_tar,
    read_shard,
    read_shard_records,
)
from lightly_marlin.store.sharding import StoreLayout
from lightly_marlin.store.writer import store_notes
from lightly_marlin.utils.console import progress
from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import remove_leftovers, write_json
from lightly_marlin.utils.remote import RemoteFolder

__all__ = ["MAX_REPORTED", "merge_shards", "unfinished_shards"]

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
        for name in (INDEX_NAME, ARROW_NAME, REPORT_NAME):
            remove_leftovers(folder / name)
        write_json(folder / REPORT_NAME, report)
        write_index(table, folder)
    except OSError as error:
        raise UsageError(
            f"The store {folder} cannot be written: {error.strerror or error}."
        ) from error


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
        raise unfinished_shards(layout, missing)
    records.sort(key=lambda record: record.source)
    for one, other in itertools.pairwise(records):
        if one.source == other.source:
            raise UsageError(
                f"Two shards of {layout.path} have the video {one.source}: one was "
                "copied from another store. Move the folder of one of them out of the "
                "store, prepare its videos again, and merge."
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


def unfinished_shards(layout: StoreLayout, shards: Sequence[int]) -> UsageError:
    """Returns the error for shards that are not finished.

    Args:
        layout: The store.
        shards: Their numbers.
    """
    named = ", ".join(map(str, shards[:_MAX_NAMED]))
    more = f" and {len(shards) - _MAX_NAMED} more" * (len(shards) > _MAX_NAMED)
    return UsageError(
        f"{len(shards)} of the {layout.num_shards} shards of {layout.path} are not "
        f"finished: {named}{more}. Prepare them, each with: {PREPARE} --shards "
        f"{layout.num_shards} --shard I"
    )
