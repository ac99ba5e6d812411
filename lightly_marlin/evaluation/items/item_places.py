"""Places of labelled items in a face store: a track each, and a stretch of it."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

from lightly_marlin.evaluation.items.item_features import ItemStatus
from lightly_marlin.evaluation.labels.joining import join_videos
from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.store.face_store import FaceStore
from lightly_marlin.store.format import TrackRow

__all__ = ["ItemPlace", "ItemPlaces", "find_places"]

# Seconds in files are rounded; a frame that begins a hair too early still counts.
_TOLERANCE = 1e-3  # Frames.


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

    An item of several tracks is at the one with the largest area times length within
    its seconds.

    Args:
        table: The items.
        store: The store of their videos.

    Returns:
        The place of each item.

    Raises:
        UsageError: If several videos of the store fit the video of an item.
    """
    tracks = defaultdict(list)
    for index, track in enumerate(store):
        tracks[track.source].append((index, track.row))
    records = {record.source: record for record in store.records()}
    sources = join_videos(table.videos, sorted({*tracks, *records}))
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
        elif source not in tracks:
            record = records[source]
            status = "failed" if record.status == "failed" else "no_face"
            reason = record.reason
        else:
            seconds = (float(table.starts[item]), float(table.ends[item]))
            place = _main_place(tracks[source], *seconds)
            if place is None:
                status, reason = "no_face", f"no face in {source} within its seconds"
        places.append(place)
        statuses.append(status)
        reasons.append(reason)
    return ItemPlaces(tuple(places), tuple(statuses), tuple(reasons))


def _main_place(
    tracks: list[tuple[int, TrackRow]], start: float, end: float
) -> ItemPlace | None:
    """Returns the stretch of the main track within seconds, NaN for no limit."""
    found = []
    for index, row in tracks:
        first, stop = _frames(row, start, end)
        if first < stop:
            size = (stop - first) * row.face_size**2
            found.append((-size, row.track_id, ItemPlace(index, first, stop)))
    return min(found)[2] if found else None


def _frames(row: TrackRow, start: float, end: float) -> tuple[int, int]:
    """Returns the frames of a track within seconds of its video, in the track."""
    end_of_track = row.start_frame + row.num_frames
    first = 0 if math.isnan(start) else math.ceil(start * row.fps - _TOLERANCE)
    stop = end_of_track if math.isnan(end) else math.ceil(end * row.fps - _TOLERANCE)
    if stop <= first and not math.isnan(start):
        # Between two frames, the earlier one is on the screen.
        first = math.floor(start * row.fps + _TOLERANCE)
        stop = first + 1
    first, stop = max(first, row.start_frame), min(stop, end_of_track)
    return first - row.start_frame, stop - row.start_frame
