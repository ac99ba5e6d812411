"""Checks of a store's record and files before a video counts as finished.

Disks fail, and machines lose power between a rename and the data it refers to: a record
with invalid values would break every later run, and truncated files would break
training. Bytes that changed in place go unnoticed; detecting them would mean reading
every file.
"""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from lightly_marlin.jobs.record import STATUSES
from lightly_marlin.store.format import (
    VIDEO_NAME,
    TrackRow,
    VideoRecord,
    track_arrays,
    video_id,
)
from lightly_marlin.store.npy_rows import HEADER_BYTES, read_rows

__all__ = ["is_whole", "read_record"]

_KINDS: dict[str, type | tuple[type, ...]] = {
    "str": str,
    "int": int,
    "float": (int, float),
    "bool": bool,
    "Status": str,
    "dict[str, Any]": dict,
    "None": type(None),
}


def read_record(folder: Path) -> VideoRecord | None:
    """Reads the record of a video.

    Args:
        folder: The folder of the video in a store.

    Returns:
        The record; None if there is none, or it is damaged or belongs elsewhere.
    """
    try:
        text = (folder / VIDEO_NAME).read_text(encoding="utf-8")
        record = VideoRecord.from_json(json.loads(text))
        # Invalid Unicode could be written neither to the index nor to the report.
        json.dumps(record.to_json(), ensure_ascii=False).encode()
        belongs = folder.name == video_id(record.source)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except (ValueError, RecursionError):
        return None
    sound = _has_its_types(record) and all(_has_its_types(row) for row in record.rows)
    return record if belongs and sound and record.status in STATUSES else None


def is_whole(record: VideoRecord, store: Path) -> bool:
    """Returns whether the files of a record's tracks exist at their full length.

    Args:
        record: A record with values of the right types.
        store: The folder of the store.
    """
    try:
        return all(_track_is_whole(row, store) for row in record.rows)
    except (OSError, ValueError):
        return False


def _track_is_whole(row: TrackRow, store: Path) -> bool:
    arrays = track_arrays(row.num_frames, row.num_samples)
    for name, (dtype, shape) in arrays.items():
        size = HEADER_BYTES + math.prod(shape) * np.dtype(dtype).itemsize
        if (store / row.array_path(name)).stat().st_size != size:
            return False
    dtype, shape = arrays["frames"]
    table = store / row.array_path("frames")
    end = int(read_rows(table, dtype, shape, [row.num_frames - 1]).sum())
    return (store / row.video).stat().st_size >= end


def _has_its_types(value: Any) -> bool:
    """Returns whether the plain fields of a dataclass have the declared types."""
    for column in dataclasses.fields(value):
        kinds = [_KINDS.get(name) for name in str(column.type).split(" | ")]
        item = getattr(value, column.name)
        if None in kinds:
            continue
        wanted = tuple(kind for kind in kinds if kind is not None)
        if not isinstance(item, wanted) or (type(item) is bool and bool not in wanted):
            return False
    return True
