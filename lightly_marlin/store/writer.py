"""Writing a face store so that a kill at any moment loses only unfinished videos.

Every video is prepared in a hidden folder beside its final one and renamed when it is
whole; the index and the report are rebuilt from what was renamed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from lightly_marlin.store.checks import is_whole, read_record
from lightly_marlin.store.face_store import FaceStore
from lightly_marlin.store.format import (
    INDEX_NAME,
    LOCK_NAME,
    REPORT_NAME,
    TRACKS_NAME,
    VIDEO_NAME,
    VideoRecord,
    index_schema,
    video_id,
)
from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write, remove_leftovers, write_json

__all__ = ["StoreWriter", "store_error"]

_UNFINISHED_PREFIX = ".unfinished-"
_FLUSH_SECONDS = 30.0
_FLUSH_SHARE = 0.05


class StoreWriter:
    """Adds videos to a face store, new or existing. Use it in a `with` block.

    Attributes:
        path: The store.
        records: What became of each video so far, by source.
    """

    def __init__(self, path: Path | str) -> None:
        """Creates or opens the store and removes what a killed run left unfinished.

        Args:
            path: The folder of the store.

        Raises:
            UsageError:
                If the folder cannot be written, holds another version, or another
                process is writing to it.
        """
        if not str(path):
            raise UsageError("The path of the store is empty. Name a folder.")
        self.path = Path(path)
        self._tracks = self.path / TRACKS_NAME
        self._last_flush = time.monotonic()
        self._flush_interval = _FLUSH_SECONDS
        with self.explained():
            self._tracks.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(self.path / LOCK_NAME)
        try:
            with self.explained():
                self._check_version()
                self._remove_unfinished()
                self.records = self._read_records()
                self.flush()
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> StoreWriter:
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
        """Turns operating system errors into a `UsageError` that names the store."""
        try:
            yield
        except OSError as error:
            raise store_error(self.path, error.strerror or str(error)) from error

    def unfinished_folder(self, source: str) -> Path:
        """Returns a new empty folder in which a video is prepared."""
        with self.explained():
            folder = self._unfinished(video_id(source))
            folder.mkdir()
            return folder

    def add(self, record: VideoRecord, folder: Path) -> None:
        """Makes a prepared video part of the store, in place of its earlier version.

        Tracks of an earlier run are kept if the new attempt failed in a way that may
        pass, such as a disk that is not there.

        Args:
            record: What became of the video.
            folder:
                From `unfinished_folder`, with the files that the record names. Files of
                a video that gave no track in the end are removed.
        """
        final = self._tracks / video_id(record.source)
        earlier = self.records.get(record.source)
        with self.explained():
            if earlier is not None and earlier.rows and record.retry:
                record = _kept(earlier, record)
                remove_leftovers(final / VIDEO_NAME)
                write_json(final / VIDEO_NAME, record.to_json())
                shutil.rmtree(folder)
            else:
                self._replace(final, record, folder)
        self.records[record.source] = record
        if time.monotonic() - self._last_flush > self._flush_interval:
            self.flush()

    def _replace(self, final: Path, record: VideoRecord, folder: Path) -> None:
        """Completes a folder and puts it in its place."""
        if not record.rows:
            for file in folder.iterdir():
                file.unlink()
        write_json(folder / VIDEO_NAME, record.to_json())
        if final.exists():
            # Renamed first, so that no reader meets a folder that is half removed.
            old = self._unfinished(f"{final.name}-old")
            final.rename(old)
            folder.rename(final)
            shutil.rmtree(old)
        else:
            folder.rename(final)

    def flush(self) -> None:
        """Writes the index and the report."""
        started = time.monotonic()
        records = [self.records[source] for source in sorted(self.records)]
        with self.explained():
            _write_index(self.path / INDEX_NAME, records)
            write_json(self.path / REPORT_NAME, _report(records))
        self._last_flush = time.monotonic()
        # In a store of a million videos this takes long; it must stay a small share.
        took = self._last_flush - started
        self._flush_interval = max(_FLUSH_SECONDS, took / _FLUSH_SHARE)

    def _unfinished(self, name: str) -> Path:
        # Workers of a killed run may live on for a moment, so names differ by run; not
        # by process id, which is the same for two machines or containers at times.
        return self._tracks / f"{_UNFINISHED_PREFIX}{name}-{secrets.token_hex(4)}"

    def _check_version(self) -> None:
        """Raises UsageError for a store of another version."""
        if not (self.path / INDEX_NAME).exists():
            return
        try:
            FaceStore(self.path)
        except UsageError as error:
            # An index that cannot be read at all is damaged, and is rebuilt below.
            if error.__cause__ is None:
                raise

    def _remove_unfinished(self) -> None:
        for folder in self._tracks.glob(f"{_UNFINISHED_PREFIX}*"):
            shutil.rmtree(folder, ignore_errors=True)
        for name in (INDEX_NAME, REPORT_NAME):
            remove_leftovers(self.path / name)

    def _read_records(self) -> dict[str, VideoRecord]:
        """Reads what finished earlier; what is damaged counts as not finished."""
        records = {}
        for folder in self._tracks.iterdir():
            if folder.name.startswith(_UNFINISHED_PREFIX):
                continue
            record = read_record(folder)
            if record is not None and is_whole(record, self.path):
                records[record.source] = record
        return records


def store_error(path: Path | str, reason: str) -> UsageError:
    """Returns the error that says why a store cannot be written."""
    return UsageError(
        f"The store {path} cannot be written: {reason}. Choose a folder that you may "
        "write to, on a disk with free space; the same command then goes on where it "
        "stopped."
    )


def _kept(earlier: VideoRecord, failed: VideoRecord) -> VideoRecord:
    """Returns the earlier record with a word on the attempt that failed."""
    reason = f"the tracks of an earlier run were kept: {failed.reason}"
    return dataclasses.replace(earlier, reason=reason, retry=True)


def _lock(path: Path) -> IO[bytes]:
    """Takes the store for this process; the lock ends with the process."""
    # Exists on POSIX only, and stores can be read elsewhere.
    import fcntl

    file = open(path, "ab")  # noqa: SIM115
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise UsageError(
            f"Another process is writing to the store {path.parent}. Wait for it, or "
            "choose another store."
        ) from None
    except OSError as error:
        file.close()
        raise UsageError(
            f"The file system of the store {path.parent} has no locks "
            f"({error.strerror}), without which two processes could write to it at "
            "once. Choose a folder on another file system."
        ) from error
    return file


def _write_index(path: Path, records: list[VideoRecord]) -> None:
    pa = require("pyarrow", "Writing a face store")
    parquet = require("pyarrow.parquet", "Writing a face store")
    schema = index_schema()
    rows = [row for record in records for row in record.rows]
    columns = [
        pa.array([getattr(row, column.name) for row in rows], type=column.type)
        for column in schema
    ]
    table = pa.Table.from_arrays(columns, schema=schema)
    with atomic_write(path) as temporary:
        parquet.write_table(table, temporary)


def _report(records: list[VideoRecord]) -> dict[str, Any]:
    entries = [record.report_entry() for record in records]
    statuses = Counter(record.status for record in records)
    totals = {
        "videos": len(entries),
        "ok": statuses["ok"],
        "no_face": statuses["no_face"],
        "failed": statuses["failed"],
        "tracks": sum(entry["tracks"] for entry in entries),
        "frames": sum(entry["frames"] for entry in entries),
    }
    return {"videos": entries, "totals": totals}
