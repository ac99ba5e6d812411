"""Reader of face stores: tracks of face crops with their regions and landmarks.

- [0]: The layout is described in `format.py`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lightly_marlin.jobs.ledger import note_key
from lightly_marlin.store.crop_options import CropOptions, common_crops
from lightly_marlin.store.format import (
    TRACKS_NAME,
    VIDEO_NAME,
    TrackRow,
    VideoRecord,
    common_quality,
)
from lightly_marlin.store.index_file import index_key, read_index
from lightly_marlin.store.remote_shards import RemoteShards
from lightly_marlin.store.repair import PREPARE
from lightly_marlin.store.shard_reading import all_records
from lightly_marlin.store.sharding import StoreLayout
from lightly_marlin.store.track import Track
from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.errors import UsageError

__all__ = ["FaceStore"]


class FaceStore:
    """A folder of face tracks that `prepare_videos` wrote.

    Only the index is opened, and where it can be, mapped into memory. Pickled, a store
    is its path: worker processes open it again and share the pages of its index.

    Attributes:
        path: The folder, absolute: a later change of directory does not matter. That
            of the cache if the store is remote.
        url: Where a remote store is; None for a folder.
    """

    def __init__(self, path: Path | str, *, cache: Path | str | None = None) -> None:
        """Opens a store.

        Args:
            path: The folder of the store, or the URL of one with shards, such as
                s3://bucket/store. Of a remote store, the index is fetched now, and
                each shard when the first of its tracks is opened.
            cache: Folder that keeps what is fetched; None for the user's cache.

        Raises:
            UsageError: If it is not a face store, has another version, or cannot be
                reached.
            MissingExtraError: If it is remote and the extra `remote` is not installed.
        """
        self._remote = RemoteShards.open(path, cache)
        self.url = None if self._remote is None else self._remote.url
        self.path = Path(path).absolute()
        if self._remote is not None:
            self.path = self._remote.folder
        self._table = read_index(self.path)

    def __getstate__(self) -> dict[str, Any]:
        """Returns the path, and what tells whether its index is still the same."""
        state = {**vars(self), "_key": index_key(self._table)}
        del state["_table"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Opens the index again.

        Raises:
            UsageError: If it changed, so that indices would mean other tracks.
        """
        vars(self).update(state)
        key = vars(self).pop("_key")
        self._table = read_index(self.path)
        if index_key(self._table) != key:
            raise UsageError(
                f"The face store {self.path} changed while it was read. Start again "
                "when its preparation has ended."
            )

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __getitem__(self, index: int) -> Track:
        length = len(self)
        if not -length <= index < length:
            raise IndexError(
                f"Invalid index {index}: the store {self.path} has {length} tracks."
            )
        row = TrackRow(**self._table.slice(index % length, 1).to_pylist()[0])
        self.fetch([row])
        return Track(row=row, store=self.path)

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

    def fetch(self, rows: Iterable[TrackRow]) -> None:
        """Fetches the shards of tracks, unless they are here, as in a folder they are.

        Args:
            rows: Rows of this store's index.

        Raises:
            UsageError: If a shard cannot be fetched.
        """
        if self._remote is not None:
            for row in rows:
                self._remote.fetch(row.video)

    def records(self) -> list[VideoRecord]:
        """Reads the record of each video that was prepared, from the files themselves.

        Returns:
            The records sorted by source; those whose file is missing or damaged are
            left out.
        """
        layout = StoreLayout.read(self.url or self.path)
        if layout is not None:
            return all_records(layout)
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
        return self.names(np.flatnonzero(self.numbers("num_samples")))

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

    def values(self, name: str, indices: npt.NDArray[np.int64]) -> list[Any]:
        """Returns some values of one column of the index.

        Args:
            name: A field of `TrackRow`.
            indices: Indices of the tracks, int64.
        """
        values: list[Any] = self._table.column(name).take(indices).to_pylist()
        return values

    def numbers(self, name: str) -> npt.NDArray[Any]:
        """Returns one column of the index without making an object of every value.

        Args:
            name: A field of `TrackRow` that is a number of every track, for example
                "num_frames".

        Returns:
            Array with one value per track, in the order of the tracks.
        """
        values: npt.NDArray[Any] = self._table.column(name).to_numpy()
        return values

    def distinct(
        self, name: str, indices: npt.NDArray[np.int64]
    ) -> tuple[list[Any], npt.NDArray[np.int64]]:
        """Returns the distinct values of a column among some tracks.

        Args:
            name: A field of `TrackRow`, for example "source".
            indices: Indices of the tracks, int64.

        Returns:
            The values, and for each of the tracks the place of its value among them.
        """
        pa = require("pyarrow", "Reading a face store")
        compute = require("pyarrow.compute", "Reading a face store")
        column = self._table.column(name)
        if len(indices) < len(column):
            column = column.take(indices)
        chunks = column.chunks or [pa.array([], column.type)]
        column = pa.concat_arrays(chunks)
        before, after = column[:-1], column[1:]
        if compute.all(compute.less_equal(before, after), min_count=0).as_py():
            # As that of the sources is: no table of all values is needed.
            first = np.ones(len(column), bool)
            first[1:] = compute.not_equal(before, after).to_numpy(zero_copy_only=False)
            places = np.cumsum(first) - 1
            return column.filter(pa.array(first)).to_pylist(), places
        encoded = column.dictionary_encode()
        return encoded.dictionary.to_pylist(), encoded.indices.to_numpy()

    def names(self, indices: npt.NDArray[np.int64]) -> list[str]:
        """Returns the names of some tracks.

        Args:
            indices: Indices of the tracks, int64.
        """
        return self.values("track_id", indices)

    def indices_of(self, tracks: Collection[str] | None) -> list[int]:
        """Returns the indices of some tracks, in the order of the store.

        Args:
            tracks: Names of the tracks; None for all.

        Raises:
            ValueError: If the store has no track of a name.
        """
        indices: list[int] = self.index_array(tracks).tolist()
        return indices

    def index_array(self, tracks: Collection[str] | None) -> npt.NDArray[np.int64]:
        """Returns the indices of some tracks as an array.

        Args:
            tracks: Names of the tracks; None for all.

        Returns:
            int64 array, ascending.

        Raises:
            ValueError: If the store has no track of a name.
        """
        if tracks is None:
            return np.arange(len(self))
        pa = require("pyarrow", "Reading a face store")
        compute = require("pyarrow.compute", "Reading a face store")
        wanted = pa.array(list(tracks), pa.string())
        found = compute.is_in(self._table.column("track_id"), value_set=wanted)
        indices = np.flatnonzero(found.to_numpy())
        if len(indices) != len(wanted.unique()):
            unknown = sorted(set(tracks).difference(self.names(indices)))
            raise ValueError(
                f"Invalid tracks: {', '.join(unknown[:3])} not in {self.path}."
            )
        return indices
