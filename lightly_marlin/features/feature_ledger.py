"""Ledger of a folder of features: a journal with a line for every finished video."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lightly_marlin.features.windows import WindowPlace
from lightly_marlin.jobs.ledger import Ledger
from lightly_marlin.jobs.record import JobRecord
from lightly_marlin.store.crop_options import common_crops
from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.files import atomic_write

__all__ = [
    "FeatureLedger",
    "FeatureRecord",
    "FeatureRow",
    "index_schema",
    "read_journal",
]

_JOURNAL_NAME = "progress.jsonl"

# Values of settings that earlier journals lack, because they were fixed.
_EARLIER_SETTINGS = {
    "detector": "auto",
    "align_eyes": False,
    "windows": 2,
    "pool_tokens": 1,
    "dtype": "float32",
}


@dataclass(frozen=True)
class FeatureRow:
    """One row of features.

    Attributes:
        track_id: Track of the row; unique in the folder.
        row: Index in the file of the video.
        start_frame: First frame of the window in the video.
        start_seconds: Display time of that frame, in seconds after the video's first.
        num_frames: Frames of the window without padding; after a reduction, of all
            windows.
        middle_seconds: Time midway between the first and the last frame, in seconds
            after the video's first; None in folders of earlier releases.
        face_width: Median side of the face's box over the track, in source pixels;
            None for whole frames, and in folders of earlier releases.
        stretch_start: First second of the stretch that the window was cut for; None
            for a regular window, or a stretch from the beginning.
        stretch_end: Second before which that stretch ends; None for a regular window,
            or a stretch to the end of the video.
    """

    track_id: str
    row: int
    start_frame: int
    start_seconds: float
    num_frames: int
    middle_seconds: float | None = None
    face_width: float | None = None
    stretch_start: float | None = None
    stretch_end: float | None = None

    @classmethod
    def of(
        cls,
        place: WindowPlace,
        seconds: npt.NDArray[np.float64],
        *,
        track_id: str,
        row: int,
        face_width: float | None,
    ) -> FeatureRow:
        """Returns the row of a window.

        Args:
            place: Place of the window in its video.
            seconds: Display times of the frames of the video, float64 (n,).
            track_id: See the attributes.
            row: See the attributes.
            face_width: See the attributes.
        """
        start, end = (None, None) if place.stretch is None else place.stretch
        return cls(
            track_id=track_id,
            row=row,
            start_frame=place.start_frame,
            start_seconds=float(seconds[place.start_frame]),
            num_frames=place.num_frames,
            middle_seconds=place.middle(seconds),
            face_width=face_width,
            stretch_start=start,
            stretch_end=end,
        )


@dataclass(frozen=True)
class FeatureRecord(JobRecord[FeatureRow]):
    """Outcome of one video.

    Attributes:
        file: Path of its features in the feature folder; None if it failed.
    """

    file: str | None = None

    def index_rows(self) -> list[dict[str, Any]]:
        """Returns the rows of the index by column."""
        place = {"source": self.source, "file": self.file}
        return [place | vars(row) for row in self.rows]

    def report_entry(self) -> dict[str, Any]:
        """Returns the entry of the video in `report.json`; its numbers are summed."""
        entry = super().report_entry()
        return {**entry, "file": self.file, "rows": len(self.rows)}


class FeatureLedger(Ledger[FeatureRecord]):
    """Ledger of the videos in a folder of features. Use it in a `with` block.

    Attributes:
        path: The folder.
        records: Record of each video that is finished, by source.
    """

    sums = ("rows", "tracks", "frames")

    @property
    def _journal(self) -> Path:
        return self.path / _JOURNAL_NAME

    def _load(self) -> Iterator[FeatureRecord]:
        records = read_journal(self.path)
        # Rewritten entirely: a truncated line must not run into the next one.
        with atomic_write(self._journal) as temporary:
            lines = [_to_line(record) for record in records.values()]
            temporary.write_text("".join(lines), encoding="utf-8")
        for record in records.values():
            if record.file is None or (self.path / record.file).is_file():
                yield record

    def _commit(self, record: FeatureRecord) -> FeatureRecord:
        """Adds a line to the journal, and removes a file that nothing refers to."""
        earlier = self.records.pop(record.source, record).file
        if (
            earlier is not None
            and earlier != record.file
            and earlier not in {other.file for other in self.records.values()}
        ):
            (self.path / earlier).unlink(missing_ok=True)
        with self._journal.open("a", encoding="utf-8") as file:
            file.write(_to_line(record))
            file.flush()
            os.fsync(file.fileno())
        return record

    def _schema(self) -> Any:
        return index_schema()

    def _notes(self, records: Sequence[FeatureRecord]) -> dict[str, Any]:
        fingerprints = [record.fingerprint for record in records if record.rows]
        cropped = all(one.get("crop_face") for one in fingerprints)
        return {"crops": common_crops(fingerprints) if cropped else None}


def index_schema() -> Any:
    """Returns the columns of the index as a pyarrow schema."""
    pa = require("pyarrow", "Writing the index of features")
    return pa.schema(
        [
            ("source", pa.string()),
            ("track_id", pa.string()),
            ("file", pa.string()),
            ("row", pa.int64()),
            ("start_frame", pa.int64()),
            ("start_seconds", pa.float64()),
            ("num_frames", pa.int64()),
            ("middle_seconds", pa.float64()),
            ("face_width", pa.float64()),
            ("stretch_start", pa.float64()),
            ("stretch_end", pa.float64()),
        ]
    )


def read_journal(folder: Path) -> dict[str, FeatureRecord]:
    """Reads the records of a folder of features, without locking it.

    Args:
        folder: The folder; it need not exist.

    Returns:
        The record of each finished video by source, whether its file exists or not.
    """
    journal = folder / _JOURNAL_NAME
    records = {}
    if journal.exists():
        for line in journal.read_text(encoding="utf-8").splitlines():
            if record := _from_line(line):
                records[record.source] = record
    return records


def _to_line(record: FeatureRecord) -> str:
    return json.dumps(asdict(record)) + "\n"


def _from_line(line: str) -> FeatureRecord | None:
    """Returns the record of a line; None if a kill truncated it."""
    try:
        values = json.loads(line)
        rows = tuple(FeatureRow(**row) for row in values.pop("rows"))
        values["fingerprint"] = {**_EARLIER_SETTINGS, **values["fingerprint"]}
        # Journals of earlier releases lack this field; every failure is tried again.
        values["retry"] = values["status"] == "failed"
        return FeatureRecord(**values, rows=rows)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
