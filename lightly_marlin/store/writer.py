"""Writer of face stores; if killed at any moment, it loses only unfinished videos.

Every video is prepared in a hidden folder beside its final one, which is renamed when
complete; the index and the report are rebuilt from the renamed folders.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lightly_marlin.jobs.ledger import Ledger
from lightly_marlin.store.checks import is_whole, read_record
from lightly_marlin.store.crop_options import common_crops
from lightly_marlin.store.face_store import FaceStore
from lightly_marlin.store.format import (
    INDEX_NAME,
    TRACKS_NAME,
    VIDEO_NAME,
    VideoRecord,
    common_quality,
    index_schema,
    video_id,
)
from lightly_marlin.store.index_file import ARROW_NAME, write_index
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import remove_leftovers, why_not_writable, write_json

__all__ = ["StoreWriter", "store_notes"]

_UNFINISHED_PREFIX = ".unfinished-"


class StoreWriter(Ledger[VideoRecord]):
    """Ledger of the videos in a face store, new or existing. Use it in a `with` block.

    Attributes:
        path: The store.
        records: Record of each video so far, by source.
    """

    kind = "store"

    def unfinished_folder(self, source: str) -> Path:
        """Returns a new empty folder in which a video is prepared.

        The next record added for the video takes its files from there. Files of a video
        that gave no track are removed.
        """
        with self.explained():
            folder = self._unfinished(video_id(source))
            folder.mkdir()
            self._folders[source] = folder
            return folder

    def _load(self) -> Iterator[VideoRecord]:
        self._folders: dict[str, Path] = {}
        self._tracks = self.path / TRACKS_NAME
        self._tracks.mkdir(exist_ok=True)
        remove_leftovers(self.path / ARROW_NAME)
        self._check_version()
        for folder in list(self._tracks.iterdir()):
            if folder.name.startswith(_UNFINISHED_PREFIX):
                _remove(folder)
                continue
            # Damaged records count as unfinished.
            record = read_record(folder)
            if record is not None and is_whole(record, self.path):
                yield record

    def _commit(self, record: VideoRecord) -> VideoRecord:
        """Adds a prepared video to the store, replacing its earlier version.

        Tracks of an earlier run are kept if the new attempt failed for a transient
        reason, such as a missing disk. A folder that cannot be replaced costs its video
        only.
        """
        folder = self._folders.pop(record.source)
        final = self._tracks / video_id(record.source)
        earlier = self.records.get(record.source)
        if earlier is not None and earlier.rows and record.retry:
            record = _kept(earlier, record)
            remove_leftovers(final / VIDEO_NAME)
            write_json(final / VIDEO_NAME, record.to_json())
            _remove(folder)
            return record
        try:
            self._replace(final, record, folder)
        except OSError as error:
            if why_not_writable(self._tracks, error):
                raise
            _remove(folder)
            reason = f"{final} cannot be replaced: {error.strerror or error}"
            record = dataclasses.replace(
                record, status="failed", reason=reason, rows=(), retry=True
            )
            if earlier is not None and earlier.rows and final.exists():
                record = _kept(earlier, record)
        return record

    def _replace(self, final: Path, record: VideoRecord, folder: Path) -> None:
        """Completes a folder and moves it into place."""
        if not record.rows:
            for file in folder.iterdir():
                _remove(file)
        write_json(folder / VIDEO_NAME, record.to_json())
        if final.exists():
            # Renamed first, so that no reader sees a half-removed folder.
            old = self._unfinished(f"{final.name}-old")
            final.rename(old)
            folder.rename(final)
            _remove(old)
        else:
            folder.rename(final)

    def _unfinished(self, name: str) -> Path:
        # Workers of a killed run may live on for a moment, so names differ by run; not
        # by process id, which can be the same on two machines or in two containers.
        return self._tracks / f"{_UNFINISHED_PREFIX}{name}-{secrets.token_hex(4)}"

    def _check_version(self) -> None:
        """Raises UsageError for a store of another version."""
        if not (self.path / INDEX_NAME).exists():
            return
        try:
            FaceStore(self.path)
        except UsageError as error:
            # An unreadable index is damaged, and is rebuilt.
            if error.__cause__ is None:
                raise

    def _schema(self) -> Any:
        return index_schema()

    def _write_table(self, table: Any) -> None:
        write_index(table, self.path)

    def _notes(self, records: Sequence[VideoRecord]) -> dict[str, Any]:
        return store_notes(records)


def store_notes(records: Iterable[VideoRecord]) -> dict[str, Any]:
    """Returns what a store notes about all its videos, as JSON values.

    Args:
        records: Record of each video, in the order of their sources.
    """
    kept = [record for record in records if record.rows]
    # As keys of a dict, equal weights are listed once, in their order.
    weights = {json.dumps(one): one for r in kept for one in r.weights}
    return {
        "crops": common_crops(record.fingerprint for record in kept),
        "jpeg_quality": common_quality(kept),
        "weights": list(weights.values()),
    }


def _remove(path: Path) -> None:
    """Removes a folder or a file, as far as that is allowed."""
    shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _kept(earlier: VideoRecord, failed: VideoRecord) -> VideoRecord:
    """Returns the earlier record with a note on the failed attempt."""
    reason = f"the tracks of an earlier run were kept: {failed.reason}"
    return dataclasses.replace(earlier, reason=reason, retry=True)
