"""Record of a finished video."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeVar, get_args

__all__ = ["STATUSES", "JobRecord", "Status"]

Status = Literal["ok", "no_face", "failed"]
STATUSES: tuple[Status, ...] = get_args(Status)


class _Row(Protocol):
    """Row of an index; a dataclass."""

    @property
    def track_id(self) -> str: ...


_RowT = TypeVar("_RowT", bound=_Row)


@dataclass(frozen=True)
class JobRecord(Generic[_RowT]):
    """Outcome of one video.

    Attributes:
        source: POSIX path of the video relative to the folder that was named.
        status: "ok", "no_face" (no face anywhere) or "failed".
        reason: Why there is no result, or an oddity of the video; None if neither.
        num_frames: Number of frames that were decoded.
        rows: Rows of the index from the video.
        retry: Repeat the attempt, which failed for a transient reason.
        fingerprint: State of file and settings; equal if nothing changed.
    """

    source: str
    status: Status
    reason: str | None = None
    num_frames: int = 0
    rows: tuple[_RowT, ...] = ()
    retry: bool = False
    fingerprint: dict[str, Any] = field(default_factory=dict)

    @property
    def num_tracks(self) -> int:
        """Number of face tracks in the rows."""
        return len({row.track_id for row in self.rows})

    def index_rows(self) -> list[dict[str, Any]]:
        """Returns the rows of the index by column."""
        return [vars(row) for row in self.rows]

    def report_entry(self) -> dict[str, Any]:
        """Returns the entry of the video in `report.json`; its numbers are summed."""
        return {
            "source": self.source,
            "status": self.status,
            "tracks": self.num_tracks,
            "frames": self.num_frames,
            "reason": self.reason,
        }
