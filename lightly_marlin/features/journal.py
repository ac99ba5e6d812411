"""What was extracted so far: written as it comes, read by the next run."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write, write_json

__all__ = [
    "INDEX_NAME",
    "REPORT_NAME",
    "FeatureRow",
    "Journal",
    "VideoEntry",
    "index_schema",
]

INDEX_NAME = "index.parquet"
REPORT_NAME = "report.json"
_JOURNAL_NAME = "progress.jsonl"
_LOCK_NAME = ".lock"


@dataclass(frozen=True)
class FeatureRow:
    """One row of features.

    Attributes:
        track_id: The track that it is of; unique in the folder.
        row: Its index in the file of its video.
        start_frame: First frame of its window in the video.
        start_seconds: When that frame is shown, in seconds after the video's first.
        num_frames: Frames of the window that are of the video and not padding; after
            a reduction, of all windows.
    """

    track_id: str
    row: int
    start_frame: int
    start_seconds: float
    num_frames: int


@dataclass(frozen=True)
class VideoEntry:
    """What became of a video.

    Attributes:
        source: Its POSIX path relative to the folder that was named.
        status: "ok", "no_face" or "failed".
        file: Its features, relative to the folder of the features; None if it failed.
        reason: Why there are none, or what was wrong all the same.
        num_frames: Frames that were read.
        rows: One per row of the file.
        fingerprint: What the result depends on.
    """

    source: str
    status: str
    file: str | None
    reason: str | None = None
    num_frames: int = 0
    rows: tuple[FeatureRow, ...] = ()
    fingerprint: dict[str, Any] = field(default_factory=dict)

    @property
    def num_tracks(self) -> int:
        """Number of tracks that there are features of."""
        return len({row.track_id for row in self.rows})


class Journal:
    """Keeps the entries of a folder of features.

    Attributes:
        folder: The folder of the features.
        entries: What finished earlier or now, by source.
    """

    def __init__(self, folder: Path) -> None:
        """Opens the folder.

        Args:
            folder: Created if missing.

        Raises:
            UsageError: If it cannot be written, or another process writes to it.
        """
        self.folder = folder
        self._path = folder / _JOURNAL_NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _take(folder / _LOCK_NAME)
            self.entries = {entry.source: entry for entry in self._read()}
            # Rewritten whole: a line that was cut off must not begin the next one.
            with atomic_write(self._path) as temporary:
                lines = [_to_line(entry) for entry in self.entries.values()]
                temporary.write_text("".join(lines), encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"The folder {folder} cannot be written: {error.strerror or error}."
            ) from error

    def close(self) -> None:
        """Lets other processes write to the folder."""
        self._lock.close()

    def add(self, entry: VideoEntry) -> None:
        """Notes an entry, so that it survives a kill."""
        self.entries[entry.source] = entry
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_to_line(entry))
            file.flush()
            os.fsync(file.fileno())

    def write_index(self, sources: Iterable[str]) -> None:
        """Writes `index.parquet` and `report.json` of these videos."""
        entries = [self.entries[name] for name in sources if name in self.entries]
        _write_parquet(self.folder / INDEX_NAME, entries)
        write_json(self.folder / REPORT_NAME, _report(entries))

    def _read(self) -> list[VideoEntry]:
        if not self._path.exists():
            return []
        entries = []
        for line in self._path.read_text(encoding="utf-8").splitlines():
            try:
                values = json.loads(line)
                rows = tuple(FeatureRow(**row) for row in values.pop("rows"))
                entries.append(VideoEntry(**values, rows=rows))
            except (ValueError, TypeError, KeyError, AttributeError):
                # Cut off by a kill: that video is done again.
                continue
        return entries


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
        ]
    )


def _take(path: Path) -> IO[bytes]:
    """Takes a folder for this process; the lock ends with the process."""
    # Exists on POSIX only; elsewhere nobody keeps two runs apart.
    try:
        import fcntl
    except ModuleNotFoundError:
        return path.open("ab")
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise UsageError(
            f"Another process is writing to the folder {path.parent}. Wait for it, or "
            "choose another one."
        ) from None
    return file


def _to_line(entry: VideoEntry) -> str:
    return json.dumps(asdict(entry)) + "\n"


def _write_parquet(path: Path, entries: list[VideoEntry]) -> None:
    pa = require("pyarrow", "Writing the index of features")
    parquet = require("pyarrow.parquet", "Writing the index of features")
    rows = [
        {"source": entry.source, "file": entry.file, **asdict(row)}
        for entry in entries
        for row in entry.rows
    ]
    table = pa.Table.from_pylist(rows, schema=index_schema())
    with atomic_write(path) as temporary:
        parquet.write_table(table, temporary)


def _report(entries: list[VideoEntry]) -> dict[str, Any]:
    """Returns the report in the form of that of a face store."""
    statuses = Counter(entry.status for entry in entries)
    videos = [
        {
            "source": entry.source,
            "status": entry.status,
            "file": entry.file,
            "rows": len(entry.rows),
            "tracks": entry.num_tracks,
            "frames": entry.num_frames,
            "reason": entry.reason,
        }
        for entry in entries
    ]
    totals = {"videos": len(videos)}
    totals |= {name: statuses[name] for name in ("ok", "no_face", "failed")}
    totals |= {
        name: sum(video[name] for video in videos)  # type: ignore[misc]
        for name in ("rows", "tracks", "frames")
    }
    return {"videos": videos, "totals": totals}
