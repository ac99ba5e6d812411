"""Reader of face stores: tracks of face crops with their regions and landmarks.

- [0]: The layout is described in `format.py`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lightly_marlin.jobs.ledger import note_key
from lightly_marlin.regions import RegionCells
from lightly_marlin.store.crop_options import CropOptions, common_crops
from lightly_marlin.store.crop_video import read_crops
from lightly_marlin.store.format import (
    CROP_SIZE,
    FORMAT_VERSION,
    INDEX_NAME,
    TRACKS_NAME,
    VERSION_KEY,
    VIDEO_NAME,
    TrackRow,
    VideoRecord,
    common_quality,
    track_arrays,
)
from lightly_marlin.store.npy_rows import read_rows
from lightly_marlin.store.repair import PREPARE, damaged_file, lost_file
from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.errors import UsageError

__all__ = ["FaceStore", "Track"]


@dataclass(frozen=True)
class Track:
    """One face over consecutive frames. Everything is read on demand.

    Attributes:
        row: The track's row of the index; its fields are also attributes of the track.
        store: The folder of the store.
    """

    row: TrackRow
    store: Path

    @property
    def track_id(self) -> str:
        """Unique name of the track."""
        return self.row.track_id

    @property
    def source(self) -> str:
        """Source video, relative to the folder that was prepared."""
        return self.row.source

    @property
    def start_frame(self) -> int:
        """Index of the first frame in the source."""
        return self.row.start_frame

    @property
    def num_frames(self) -> int:
        """Length in frames."""
        return self.row.num_frames

    @property
    def fps(self) -> float:
        """Frames per second of the source."""
        return self.row.fps

    @property
    def frames(self) -> npt.NDArray[np.uint8]:
        """All crops: uint8 array with shape (num_frames, 224, 224, 3), RGB."""
        video = self.read_video(range(self.num_frames))
        return np.ascontiguousarray(video.transpose(1, 2, 3, 0))

    @property
    def cells(self) -> RegionCells:
        """Regions of all frames: int32 bit masks with shape (num_frames, 28, 28)."""
        return self.read_cells(range(self.num_frames))

    @property
    def landmarks(self) -> npt.NDArray[np.float32]:
        """Landmarks (x, y) in crop pixels: float32 array (num_frames, 68, 2)."""
        return self.read_landmarks(range(self.num_frames))

    @property
    def boxes(self) -> npt.NDArray[np.float32]:
        """Crop boxes x0, y0, x1, y1 in source pixels: float32 array (num_frames, 4)."""
        return self.read_boxes(range(self.num_frames))

    @property
    def angles(self) -> npt.NDArray[np.float32]:
        """Clockwise rotation of the boxes in radians: float32 (num_frames,)."""
        return self._rows("angles", range(self.num_frames))

    def read_video(self, frames: Sequence[int]) -> npt.NDArray[np.uint8]:
        """Reads some crops.

        Args:
            frames: Indices in [0, num_frames), ascending.

        Returns:
            uint8 array with shape (3, len(frames), 224, 224), RGB in [0, 255].

        Raises:
            UsageError: If a file is missing or damaged.
        """
        path = self.store / self.row.video
        return read_crops(path, self._rows("frames", frames), CROP_SIZE)

    def read_cells(self, frames: Sequence[int]) -> RegionCells:
        """Reads the regions of some frames.

        Args:
            frames: Indices in [0, num_frames), ascending.

        Returns:
            int32 bit masks with shape (len(frames), 28, 28).

        Raises:
            UsageError: If the file is missing or damaged.
        """
        bits = self._rows("cells", frames).astype(np.int32)
        return RegionCells(torch.from_numpy(bits))

    def read_boxes(self, frames: Sequence[int]) -> npt.NDArray[np.float32]:
        """Reads the crop boxes of some frames.

        Args:
            frames: Indices in [0, num_frames), ascending.

        Returns:
            float32 array with shape (len(frames), 4): x0, y0, x1, y1 in source pixels.

        Raises:
            UsageError: If the file is missing or damaged.
        """
        return self._rows("boxes", frames)

    def read_landmarks(
        self, frames: Sequence[int], *, in_source: bool = False
    ) -> npt.NDArray[np.float32]:
        """Reads the landmarks of some frames.

        Args:
            frames: Indices in [0, num_frames), ascending.
            in_source: Return source pixels instead of crop pixels.

        Returns:
            float32 array with shape (len(frames), 68, 2): x, y.

        Raises:
            UsageError: If a file is missing or damaged.
        """
        landmarks = self._rows("landmarks", frames)
        if not in_source:
            return landmarks
        from lightly_marlin.faces.crop import landmarks_to_source

        return landmarks_to_source(
            landmarks,
            self.read_boxes(frames),
            CROP_SIZE,
            self._rows("angles", frames),
        )

    def _rows(self, name: str, frames: Sequence[int]) -> npt.NDArray[Any]:
        """Reads the entries of some frames from one of the track's arrays."""
        path = self.store / self.row.array_path(name)
        dtype, shape = track_arrays(self.num_frames)[name]
        try:
            return read_rows(path, dtype, shape, frames)
        except OSError as error:
            raise lost_file("file", path, error) from error
        except ValueError as error:
            raise damaged_file("file", path, f"cannot be read: {error}") from error


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
            metadata = parquet.read_schema(file).metadata or {}
            version = metadata.get(VERSION_KEY, b"unknown").decode()
            if version != str(FORMAT_VERSION):
                raise UsageError(
                    f"{path} is a face store of version {version}; this release reads "
                    f"version {FORMAT_VERSION}. Prepare the videos again into a new "
                    f"folder: {PREPARE}"
                )
            columns = list(TrackRow.__dataclass_fields__)
            return parquet.read_table(file, columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise UsageError(
            f"The index {index} cannot be read: {error}. If its disk is there, "
            f"prepare the videos again, which rebuilds the index: {PREPARE}"
        ) from error
