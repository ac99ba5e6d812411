"""Job of an extraction: a video, from its first window to the finished file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from lightly_marlin.features.feature_files import FeatureFile
from lightly_marlin.features.feature_ledger import FeatureRecord, FeatureRow
from lightly_marlin.features.reduction import Reduction, Row, make_reduction
from lightly_marlin.features.video_stream import VideoEnd
from lightly_marlin.features.video_windows import VideoInfo
from lightly_marlin.features.windows import WindowPlace
from lightly_marlin.store.format import video_id

__all__ = ["FeatureJob"]


@dataclass
class FeatureJob:
    """Video whose windows are being encoded.

    Attributes:
        source: Name of the video.
        file: File that the features are written to.
        fingerprint: State of the video and settings, for the record.
        reduction: Reduction over the windows of a track.
        num_waiting: Windows that have been read and not been encoded.
        end: End of the windows; None until all have been read.
        write_error: Why the file cannot be written.
    """

    source: str
    file: FeatureFile
    fingerprint: dict[str, Any]
    reduction: str = "none"
    num_waiting: int = 0
    end: VideoEnd | None = None
    write_error: str | None = None
    _reductions: dict[int, Reduction] = field(default_factory=dict)
    _places: dict[int, list[WindowPlace]] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """True once all windows have arrived and been encoded."""
        return self.end is not None and self.num_waiting == 0

    def add(self, row: Row) -> None:
        """Adds the features of a window; none once the file cannot be written."""
        self.num_waiting -= 1
        if self.write_error is not None:
            return
        track = row[0].track
        if track not in self._reductions:
            self._reductions[track] = make_reduction(self.reduction)
            self._places[track] = []
        self._keep(track, self._reductions[track].add(row))

    def finish(self) -> FeatureRecord:
        """Writes the file; returns the record of the video."""
        assert self.end is not None
        status, reason = self.end.status, self.end.reason
        if self.write_error is not None:
            status, reason = "failed", self.write_error
        failed = status == "failed"
        rows = () if failed else self._close(self.end.info)
        if failed:
            self.file.abandon()
        return FeatureRecord(
            source=self.source,
            status=status,
            file=None if failed else self.fingerprint["file"],
            reason=reason,
            num_frames=self.end.info.num_frames,
            rows=rows,
            retry=failed,
            fingerprint=self.fingerprint,
        )

    def _close(self, info: VideoInfo) -> tuple[FeatureRow, ...]:
        """Writes the file; returns its rows."""
        for track in sorted(self._reductions):
            self._keep(track, self._reductions[track].finish())
        self.file.close()
        places = [
            place for track in sorted(self._places) for place in self._places[track]
        ]
        return tuple(
            self._row(number, place, info) for number, place in enumerate(places)
        )

    def _row(self, number: int, place: WindowPlace, info: VideoInfo) -> FeatureRow:
        track = place.track
        names, widths = info.track_ids, info.face_widths
        return FeatureRow.of(
            place,
            info.seconds,
            track_id=names[track] if names else f"{video_id(self.source)}_{track:03d}",
            row=number,
            face_width=widths[track] if widths else None,
        )

    def _keep(self, track: int, rows: Iterable[Row]) -> None:
        for place, features in rows:
            self.file.add(track, features)
            self._places[track].append(place)
