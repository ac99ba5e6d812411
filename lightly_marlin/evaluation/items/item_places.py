"""Places of labelled items in a face store: a track each, and a stretch of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lightly_marlin.evaluation.items.item_features import ItemStatus
from lightly_marlin.evaluation.items.item_rows import choose_rows, stretch_of
from lightly_marlin.evaluation.labels.joining import join_videos
from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.features.extract_store import frame_seconds
from lightly_marlin.features.feature_ledger import FeatureRow
from lightly_marlin.features.stretches import frames_in, plan_stretches
from lightly_marlin.features.windows import Stretch, WindowPlace, window_places
from lightly_marlin.store.face_store import FaceStore
from lightly_marlin.store.format import TrackRow

__all__ = ["ItemPlace", "ItemPlaces", "find_places"]

# The windows of `item_features` that choose the main track, without other options.
_NUM_FRAMES, _SAMPLE_RATE, _STRIDE = 16, 2, 16


@dataclass(frozen=True)
class ItemPlace:
    """Frames of one track that show an item.

    Attributes:
        track: Index of the track in the store.
        start: First frame of the item in the track.
        stop: Frame after its last one, at least `start` + 1.
    """

    track: int
    start: int
    stop: int


@dataclass(frozen=True)
class ItemPlaces:
    """Places of the items of a table.

    Attributes:
        places: Place of each item; None if it has none.
        statuses: "ok", "missing" (no such video), "no_face" or "failed".
        reasons: Why an item has no place; None where it has.
    """

    places: tuple[ItemPlace | None, ...]
    statuses: tuple[ItemStatus, ...]
    reasons: tuple[str | None, ...]

    def found(self, items: list[int]) -> list[int]:
        """Returns those of some items that have a place."""
        return [item for item in items if self.places[item] is not None]

    def count(self, status: ItemStatus) -> int:
        """Returns the number of items with a status."""
        return self.statuses.count(status)


def find_places(table: LabelTable, store: FaceStore) -> ItemPlaces:
    """Joins items with the tracks of a store.

    An item of several tracks is at the main one of its seconds, as its features are;
    see `choose_rows`.

    Args:
        table: The items.
        store: The store of their videos.

    Returns:
        The place of each item.

    Raises:
        UsageError: If several videos of the store fit the video of an item.
    """
    tracks: dict[str, list[tuple[int, TrackRow]]] = defaultdict(list)
    for index, row in enumerate(store.rows()):
        tracks[row.source].append((index, row))
    records = {record.source: record for record in store.records()}
    sources = join_videos(table.videos, sorted({*tracks, *records}))
    videos = {source: _Video(tracks[source]) for source in tracks}
    places: list[ItemPlace | None] = []
    statuses: list[ItemStatus] = []
    reasons: list[str | None] = []
    for item, source in enumerate(sources):
        place: ItemPlace | None = None
        status: ItemStatus = "ok"
        reason = None
        if source is None:
            status = "missing"
            reason = f"no video of the store is called {table.videos[item]}"
        elif source not in videos:
            record = records[source]
            status = "no_face" if record.status == "no_face" else "failed"
            reason = record.reason or f"the store holds no track of {source}"
        else:
            place = videos[source].place(stretch_of(table, item))
            if place is None:
                status, reason = "no_face", f"no face in {source} within its seconds"
        places.append(place)
        statuses.append(status)
        reasons.append(reason)
    return ItemPlaces(tuple(places), tuple(statuses), tuple(reasons))


class _Video:
    """Tracks of a video, and the windows that `extract_store` would cut from them."""

    def __init__(self, tracks: Sequence[tuple[int, TrackRow]]) -> None:
        self._tracks = {row.track_id: (index, row) for index, row in tracks}
        self._seconds = frame_seconds([row for _, row in tracks])
        self._regular = {
            row.track_id: window_places(
                row.num_frames,
                _NUM_FRAMES,
                sample_rate=_SAMPLE_RATE,
                stride=_STRIDE,
                first_frame=row.start_frame,
            )
            for _, row in tracks
        }
        self._rows = [
            feature_row
            for _, row in tracks
            for feature_row in _feature_rows(
                row, self._regular[row.track_id], self._seconds
            )
        ]

    def place(self, stretch: Stretch) -> ItemPlace | None:
        """Returns the frames of the main track in a stretch; None if there are none."""
        chosen = choose_rows(self._rows, stretch) or choose_rows(
            self._own_rows(stretch), stretch
        )
        if not chosen:
            return None
        index, row = self._tracks[chosen[0].track_id]
        begin, end = frames_in(stretch, self._seconds)
        return ItemPlace(
            index,
            max(begin - row.start_frame, 0),
            min(end - row.start_frame, row.num_frames),
        )

    def _own_rows(self, stretch: Stretch) -> list[FeatureRow]:
        """Returns the windows that are cut for a stretch without a regular one."""
        rows = []
        for _, row in self._tracks.values():
            places = plan_stretches(
                [stretch],
                self._regular[row.track_id],
                self._seconds,
                first_frame=row.start_frame,
                length=row.num_frames,
                num_frames=_NUM_FRAMES,
                sample_rate=_SAMPLE_RATE,
            )
            rows += _feature_rows(row, places, self._seconds)
        return rows


def _feature_rows(
    row: TrackRow,
    places: Sequence[WindowPlace],
    seconds: npt.NDArray[np.float64],
) -> list[FeatureRow]:
    """Returns the rows of features of windows of a track."""
    return [
        FeatureRow.of(
            place,
            seconds,
            track_id=row.track_id,
            row=number,
            face_width=row.face_width,
        )
        for number, place in enumerate(places)
    ]
