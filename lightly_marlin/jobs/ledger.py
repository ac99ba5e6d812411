"""Ledger of finished videos: a folder of results that a run fills and later runs read.

One process writes at a time. If killed at any moment, it loses only unfinished videos;
index and report are rebuilt from the records, whose form the subclass defines.
"""

from __future__ import annotations

import contextlib
import json
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

from lightly_marlin.jobs.lock import take_lock
from lightly_marlin.jobs.record import STATUSES, JobRecord
from lightly_marlin.jobs.summary import JobSummary
from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write, remove_leftovers, write_json

__all__ = ["INDEX_NAME", "REPORT_NAME", "Ledger", "note_key", "unfinished"]

INDEX_NAME = "index.parquet"
REPORT_NAME = "report.json"

_FLUSH_SECONDS = 30.0
_FLUSH_SHARE = 0.05

_RecordT = TypeVar("_RecordT", bound=JobRecord[Any])
_Self = TypeVar("_Self", bound="Ledger[Any]")


class Ledger(ABC, Generic[_RecordT]):
    """Ledger of finished videos. Use it in a `with` block.

    Attributes:
        path: The folder, absolute: a later change of directory does not matter.
        records: Record of each video that is finished, by source.
        kind: Kind of the folder for messages, such as "store".
        sums: Numbers in the report's entries that its totals sum.
    """

    kind = "folder"
    sums: tuple[str, ...] = ("tracks", "frames")

    def __init__(
        self, path: Path | str, sources: Collection[str] | None = None
    ) -> None:
        """Creates or opens the folder and locks it for this process.

        Args:
            path: The folder.
            sources: Videos that index and report cover; None for all.

        Raises:
            UsageError: If the folder cannot be written or read, or another process
                is writing to it.
        """
        if not str(path):
            raise UsageError(f"The path of the {self.kind} is empty. Name a folder.")
        self.path = Path(path).absolute()
        self.records: dict[str, _RecordT] = {}
        self._sources = sources
        self._num_frames = 0
        self._started = time.monotonic()
        with self.explained():
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = take_lock(self.path, self.kind)
        try:
            with self.explained():
                self.records = {record.source: record for record in self._load()}
                for name in (INDEX_NAME, REPORT_NAME):
                    remove_leftovers(self.path / name)
            self.flush()
        except BaseException:
            self._lock.close()
            raise

    @abstractmethod
    def _load(self) -> Iterable[_RecordT]:
        """Yields records of earlier runs, and removes their unfinished work."""

    @abstractmethod
    def _commit(self, record: _RecordT) -> _RecordT:
        """Makes a record persistent; returns it in its stored form."""

    @abstractmethod
    def _schema(self) -> Any:
        """Returns the Arrow schema of the index."""

    def _notes(self, records: Sequence[_RecordT]) -> dict[str, Any]:
        """Returns JSON values for the report and the metadata of the index."""
        del records
        return {}

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.flush()
        finally:
            self._lock.close()

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Converts operating system errors to a `UsageError` that names the folder."""
        try:
            yield
        except OSError as error:
            raise self.error(error.strerror or str(error)) from error

    def error(self, reason: str) -> UsageError:
        """Returns the error with the reason why the folder cannot be written."""
        return UsageError(
            f"The {self.kind} {self.path} cannot be written: {reason}. Choose a folder "
            "that you may write to, on a disk with free space; the same command then "
            "goes on where it stopped."
        )

    def unfinished(self, fingerprints: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """Returns the sources of the videos to process.

        Args:
            fingerprints: Current fingerprint of each video by source.

        Returns:
            The videos that are new, have changed, or failed for a transient reason.
        """
        return unfinished(self.records, fingerprints)

    def add(self, record: _RecordT) -> None:
        """Adds the record of a video, replacing its earlier one."""
        with self.explained():
            self.records[record.source] = self._commit(record)
        self._num_frames += record.num_frames
        if time.monotonic() - self._last_flush > self._flush_interval:
            self.flush()

    def flush(self) -> None:
        """Writes the index and the report."""
        started = time.monotonic()
        names = self.records if self._sources is None else self._sources
        records = [self.records[name] for name in sorted(names) if name in self.records]
        notes = self._notes(records)
        with self.explained():
            self._write_index(records, notes)
            write_json(self.path / REPORT_NAME, {**self._report(records), **notes})
        self._last_flush = time.monotonic()
        # This takes long with a million videos; it must stay a small share of the run.
        took = self._last_flush - started
        self._flush_interval = max(_FLUSH_SECONDS, took / _FLUSH_SHARE)

    def summary(self, sources: Sequence[str], num_done: int) -> JobSummary[_RecordT]:
        """Returns the summary of this run.

        Args:
            sources: The videos that were named.
            num_done: Number of those that this run had to process.
        """
        return JobSummary(
            records=tuple(self.records[source] for source in sources),
            num_finished_before=len(sources) - num_done,
            num_frames=self._num_frames,
            seconds=time.monotonic() - self._started,
        )

    def _write_index(self, records: list[_RecordT], notes: dict[str, Any]) -> None:
        pa = require("pyarrow", f"Writing the index of a {self.kind}")
        schema = self._schema()
        metadata = {note_key(name): json.dumps(notes[name]) for name in notes}
        schema = schema.with_metadata({**(schema.metadata or {}), **metadata})
        rows = [row for record in records for row in record.index_rows()]
        self._write_table(pa.Table.from_pylist(rows, schema=schema))

    def _write_table(self, table: Any) -> None:
        """Writes the index."""
        parquet = require("pyarrow.parquet", f"Writing the index of a {self.kind}")
        with atomic_write(self.path / INDEX_NAME) as temporary:
            parquet.write_table(table, temporary)

    def _report(self, records: list[_RecordT]) -> dict[str, Any]:
        entries = [record.report_entry() for record in records]
        statuses = Counter(record.status for record in records)
        totals = {"videos": len(entries)}
        totals |= {status: statuses[status] for status in STATUSES}
        totals |= {name: sum(entry[name] for entry in entries) for name in self.sums}
        return {"videos": entries, "totals": totals}


def unfinished(
    records: Mapping[str, JobRecord[Any]],
    fingerprints: Mapping[str, Mapping[str, Any]],
) -> list[str]:
    """Returns the sources of the videos to process.

    Args:
        records: Record of each finished video by source.
        fingerprints: Current fingerprint of each video by source.

    Returns:
        The videos that are new, have changed, or failed for a transient reason.
    """
    todo = []
    for source, wanted in fingerprints.items():
        record = records.get(source)
        if record is None or record.retry or record.fingerprint != wanted:
            todo.append(source)
    return todo


def note_key(name: str) -> bytes:
    """Returns the key of a note in the metadata of the index's Parquet schema."""
    return f"lightly_marlin.{name}".encode()
