"""Reader of face stores: tracks of face crops with their regions and landmarks.

- [0]: The layout is described in `format.py`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lightly_marlin.jobs.ledger import note_key
from lightly_marlin.store.crop_options import CropOptions, common_crops
from lightly_marlin.store.format import (
    FORMAT_VERSION,
    INDEX_NAME,
    TRACKS_NAME,
    VERSION_KEY,
    VIDEO_NAME,
    TrackRow,
    VideoRecord,
    common_quality,
)
from lightly_marlin.store.repair import PREPARE
from lightly_marlin.store.track import Track
from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.errors import UsageError

__all__ = ["FaceStore"]

_SAMPLES = "num_samples"


class FaceStore:
    """A folder of face tracks that `prepare_videos` wrote.

    Only the index is read when a store is opened; it can be sent to worker processes.

    Attributes:
        path: The folder, absolute: a later change of directory does not matter.
    """

    def __init__(self, path: Path | str) -> None:
        """Opens a store.

        Args:
            path: The folder of the store.

        Raises:
            UsageError: If it is not a face store, or has another version.
        """
        self.path = Path(path).absolute()
        self._table = _read_index(self.path)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __getitem__(self, index: int) -> Track:
        length = len(self)
        if not -length <= index < length:
            raise IndexError(
                f"Invalid index {index}: the store {self.path} has {length} tracks."
            )
        row = self._table.slice(index % length, 1).to_pylist()[0]
        return Track(row=TrackRow(**row), store=self.path)

    def __iter__(self) -> Iterator[Track]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        return f"FaceStore({str(self.path)!r}, {len(self)} tracks)"

    @property
    def crop_options(self) -> CropOptions:
        """Crop options of its tracks, for cropping other videos in the same way.

        Raises:
            UsageError: If its videos were prepared with different options, or by
                another version of the pipeline.
        """
        noted = (self._table.schema.metadata or {}).get(note_key("crops"))
        if noted is not None:
            crops = json.loads(noted)
        else:
            # Older indexes lack the options, but the records always had them.
            records = self.records()
            crops = common_crops(r.fingerprint for r in records if r.rows)
        if crops is None:
            raise UsageError(
                f"The store {self.path} has no options that all its tracks were "
                f"cropped with. Prepare all its videos again with the same options: "
                f"{PREPARE}"
            )
        try:
            return CropOptions.from_crops(crops)
        except UsageError as error:
            raise UsageError(
                f"The crop options of the store {self.path} cannot be reused: {error} "
                f"Prepare the videos again: {PREPARE}"
            ) from error

    @property
    def jpeg_quality(self) -> int | None:
        """JPEG quality of its crops, from 1 to 100; None if its tracks differ."""
        noted = (self._table.schema.metadata or {}).get(note_key("jpeg_quality"))
        if noted is None:
            # Older indexes lack it.
            return common_quality(record for record in self.records() if record.rows)
        quality: int | None = json.loads(noted)
        return quality

    def records(self) -> list[VideoRecord]:
        """Reads the record of each video that was prepared, from the files themselves.

        Returns:
            The records sorted by source; those whose file is missing or damaged are
            left out.
        """
        records = []
        for path in (self.path / TRACKS_NAME).glob(f"[!.]*/{VIDEO_NAME}"):
            try:
                value = json.loads(path.read_text(encoding="utf-8"))
                records.append(VideoRecord.from_json(value))
            except (OSError, ValueError):
                continue
        return sorted(records, key=lambda record: record.source)

    def tracks_with_audio(self) -> list[str]:
        """Returns the names of the tracks with sound, in the order of the tracks."""
        pairs = zip(self.column("track_id"), self.column(_SAMPLES), strict=True)
        return [name for name, num_samples in pairs if num_samples]

    def rows(self) -> list[TrackRow]:
        """Returns the rows of the index, in the order of the tracks."""
        return [TrackRow(**row) for row in self._table.to_pylist()]

    def column(self, name: str) -> list[Any]:
        """Returns one column of the index.

        Args:
            name: A field of `TrackRow`, for example "num_frames".

        Returns:
            One value per track, in the order of the tracks.
        """
        values: list[Any] = self._table.column(name).to_pylist()
        return values

    def indices_of(self, tracks: Collection[str] | None) -> list[int]:
        """Returns the indices of some tracks, in the order of the store.

        Args:
            tracks: Names of the tracks; None for all.

        Raises:
            ValueError: If the store has no track of a name.
        """
        names = self.column("track_id")
        wanted = set(names if tracks is None else tracks)
        if unknown := sorted(wanted.difference(names)):
            raise ValueError(
                f"Invalid tracks: {', '.join(unknown[:3])} not in {self.path}."
            )
        return [index for index, name in enumerate(names) if name in wanted]


def _read_index(path: Path) -> Any:
    """Returns the Arrow table of the index after checking version and columns."""
    pa = require("pyarrow", "Reading a face store")
    parquet = require("pyarrow.parquet", "Reading a face store")
    index = path / INDEX_NAME
    try:
        if not index.is_file():
            reason = f"it has no {INDEX_NAME}. Make one with"
            if not path.exists():
                reason = (
                    "there is no such folder. Check its name and that its disk is "
                    "connected, or make a store with"
                )
            raise UsageError(f"{path} is no face store: {reason}: {PREPARE}")
        # Opened once: a run that is writing may replace it in between.
        with pa.OSFile(str(index)) as file:
            schema = parquet.read_schema(file)
            version = (schema.metadata or {}).get(VERSION_KEY, b"unknown").decode()
            if version != str(FORMAT_VERSION):
                raise UsageError(
                    f"{path} is a face store of version {version}; this release reads "
                    f"version {FORMAT_VERSION}. Prepare the videos again into a new "
                    f"folder: {PREPARE}"
                )
            columns = list(TrackRow.__dataclass_fields__)
            if _SAMPLES in schema.names:
                return parquet.read_table(file, columns=columns)
            # An index of a release that knew no sound.
            columns.remove(_SAMPLES)
            table = parquet.read_table(file, columns=columns)
            none = pa.array(np.zeros(table.num_rows, np.int64))
            return table.append_column(_SAMPLES, none)
    except (pa.ArrowException, OSError) as error:
        raise UsageError(
            f"The index {index} cannot be read: {error}. If its disk is there, "
            f"prepare the videos again, which rebuilds the index: {PREPARE}"
        ) from error
