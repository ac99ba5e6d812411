"""Rows of features that belong to a labelled item: its stretch, its main face."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.features.feature_ledger import FeatureRow
from lightly_marlin.features.stretches import in_stretch
from lightly_marlin.features.windows import Stretch

__all__ = ["WHOLE", "choose_rows", "has_regular_row", "stretch_of"]

WHOLE: Stretch = (None, None)
"""Stretch of an item that is a whole video."""


def stretch_of(table: LabelTable, item: int) -> Stretch:
    """Returns the stretch of an item of a table.

    Args:
        table: The table.
        item: Index of the item.
    """
    start, end = float(table.starts[item]), float(table.ends[item])
    return (None if math.isnan(start) else start, None if math.isnan(end) else end)


def has_regular_row(rows: Sequence[FeatureRow], stretch: Stretch) -> bool:
    """Returns whether the middle of a regular window of any track is in a stretch."""
    return any(_is_regular(row) and _is_in(row, stretch) for row in rows)


def choose_rows(
    rows: Sequence[FeatureRow], stretch: Stretch, *, all_faces: bool = False
) -> list[FeatureRow]:
    """Returns the rows of an item.

    They are the regular windows whose middle lies in the item's stretch; if there is
    none, the windows that were cut for exactly this stretch. Of several tracks, the
    main one counts: the one with the largest area of the face times length, in frames
    of these windows; the first name of equals.

    Args:
        rows: Rows of the video.
        stretch: The stretch of the item.
        all_faces: Return the rows of every track.

    Returns:
        The rows by their number, that is, by track, then by time; empty if no track is
        in the stretch.
    """
    found = [row for row in rows if _is_regular(row) and _is_in(row, stretch)]
    if not found and stretch != WHOLE:
        found = [row for row in rows if (row.stretch_start, row.stretch_end) == stretch]
    if all_faces:
        return sorted(found, key=lambda row: row.row)
    tracks = defaultdict(list)
    for row in sorted(found, key=lambda row: row.row):
        tracks[row.track_id].append(row)
    if not tracks:
        return []
    # Whole frames have no width, and a single track.
    sizes = {
        name: sum(row.num_frames for row in group) * (group[0].face_width or 1.0) ** 2
        for name, group in tracks.items()
    }
    return tracks[min(tracks, key=lambda name: (-sizes[name], name))]


def _is_regular(row: FeatureRow) -> bool:
    return row.stretch_start is None and row.stretch_end is None


def _is_in(row: FeatureRow, stretch: Stretch) -> bool:
    # Only folders of earlier releases lack the middle.
    middle = row.start_seconds if row.middle_seconds is None else row.middle_seconds
    return in_stretch(middle, stretch)
