"""Writer of face stores; a kill at any moment loses only unfinished videos.

Every video is prepared in a hidden folder beside its final one and renamed when it is
whole; the index and the report are rebuilt from what was renamed.
"""

from __future__ import annotations

import dataclasses
import json
import secrets
import shutil
from collections.abc import Iterator, Sequence
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
    index_schema,
    video_id,
)
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import remove_leftovers, write_json

__all__ = ["StoreWriter"]

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

        The next record of the video that is added takes its files from there. Files of
        a video that gave no track in the end are removed.
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
        self._check_version()
        for folder in list(self._tracks.iterdir()):
            if folder.name.startswith(_UNFINISHED_PREFIX):
                shutil.rmtree(folder, ignore_errors=True)
                continue
            # Whatever is damaged counts as not finished.
            record = read_record(folder)
            if record is not None and is_whole(record, self.path):
                yield record

    def _commit(self, record: VideoRecord) -> VideoRecord:
        """Makes a prepared video part of the store, in place of its earlier version.

        Tracks of an earlier run are kept if the new attempt failed in a way that may
        pass, such as a disk that is not there.
        """
        folder = self._folders.pop(record.source)
        final = self._tracks / video_id(record.source)
        earlier = self.records.get(record.source)
        if earlier is not None and earlier.rows and record.retry:
            record = _kept(earlier, record)
            remove_leftovers(final / VIDEO_NAME)
            write_json(final / VIDEO_NAME, record.to_json())
            shutil.rmtree(folder)
        else:
            self._replace(final, record, folder)
        return record

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
            # An index that cannot be read at all is damaged, and is rebuilt.
            if error.__cause__ is None:
                raise

    def _schema(self) -> Any:
        return index_schema()

    def _notes(self, records: Sequence[VideoRecord]) -> dict[str, Any]:
        kept = [record for record in records if record.rows]
        # As keys of a dict, equal weights are listed once, in their order.
        weights = {json.dumps(one): one for r in kept for one in r.weights}
        return {
            "crops": common_crops(record.fingerprint for record in kept),
            "weights": list(weights.values()),
        }


def _kept(earlier: VideoRecord, failed: VideoRecord) -> VideoRecord:
    """Returns the earlier record with a word on the attempt that failed."""
    reason = f"the tracks of an earlier run were kept: {failed.reason}"
    return dataclasses.replace(earlier, reason=reason, retry=True)
