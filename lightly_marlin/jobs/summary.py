"""Summary of a run over many videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rich.table import Table
from rich.text import Text

from lightly_marlin.jobs.record import JobRecord, Status
from lightly_marlin.utils.console import console, one_line

__all__ = ["JobSummary"]

_MAX_LISTED = 20

_RecordT = TypeVar("_RecordT", bound=JobRecord[Any])


@dataclass(frozen=True)
class JobSummary(Generic[_RecordT]):
    """Outcome of a run over the named videos.

    Attributes:
        records: Record of each video, sorted by source.
        num_finished_before: Number of videos that an earlier run had finished.
        num_frames: Number of frames that this run decoded.
        seconds: Duration of the run.
    """

    records: tuple[_RecordT, ...]
    num_finished_before: int
    num_frames: int
    seconds: float

    @property
    def num_tracks(self) -> int:
        """Number of face tracks of the videos."""
        return sum(record.num_tracks for record in self.records)

    @property
    def num_rows(self) -> int:
        """Number of rows of the index from the videos."""
        return sum(len(record.rows) for record in self.records)

    def with_status(self, status: Status) -> list[_RecordT]:
        """Returns the records with a status: "ok", "no_face" or "failed"."""
        return [record for record in self.records if record.status == status]

    def show_reasons(self, records: Sequence[_RecordT], report: str) -> None:
        """Prints videos with their reasons, up to 20 of them.

        Args:
            records: Records of this summary that are worth a line.
            report: Name of the file that has all of them.
        """
        for record in records[:_MAX_LISTED]:
            line = Text(f"{one_line(record.source)}: ")
            line.append(one_line(str(record.reason)), style="yellow")
            console.print(line, soft_wrap=True)
        if len(records) > _MAX_LISTED:
            more = len(records) - _MAX_LISTED
            console.print(f"... and {more} more, see {report}")

    def with_reason(self) -> list[_RecordT]:
        """Returns the records with a reason or a note, those of failures first."""
        told = [record for record in self.records if record.reason is not None]
        return sorted(told, key=lambda record: record.status == "ok")

    def table(self, title: str, more: Sequence[tuple[str, str]]) -> Table:
        """Returns the closing table of a recipe.

        Args:
            title: Title of the table.
            more: Labels and values of additional lines, before the duration.
        """
        counts = [
            ("videos", len(self.records)),
            ("  ok", len(self.with_status("ok"))),
            ("  without a face", len(self.with_status("no_face"))),
            ("  failed", len(self.with_status("failed"))),
            ("  finished before", self.num_finished_before),
        ]
        table = Table(title=title, show_header=False)
        table.add_column("what")
        table.add_column("how many", justify="right")
        for label, value in (*counts, *more, ("seconds", f"{self.seconds:.1f}")):
            table.add_row(label, str(value))
        return table
