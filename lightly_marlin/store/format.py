"""Face store on disk: names, columns and records shared by writer and reader.

```
index.parquet                        one row per track (`TrackRow`); version and crop
                                     options in its metadata
report.json                          one entry per video, totals, crop options, weights
tracks/<video id>/video.json         what became of one video (`VideoRecord`)
tracks/<video id>/track_000.mov      crops, Motion-JPEG, 224x224
tracks/<video id>/track_000.frames.npy     int64 (n, 2): offset and size of each JPEG
tracks/<video id>/track_000.cells.npy      uint16 (n, 28, 28): region bit masks
tracks/<video id>/track_000.landmarks.npy  float32 (n, 68, 2): x, y in crop pixels
tracks/<video id>/track_000.boxes.npy      float32 (n, 4): x0, y0, x1, y1 in the source
tracks/<video id>/track_000.angles.npy     float32 (n,): the boxes are turned, radians
```

Tracks that were prepared with their sound have two more files:

```
tracks/<video id>/track_000.audio.npy      int16 (samples,): mono, 16 kHz; sample 0
                                           sounds with the first frame
tracks/<video id>/track_000.seconds.npy    float64 (n,): time of each frame after the
                                           first, which tells its sample
```

A sharded store keeps its tracks in shards, for clusters and object stores:

```
store.json                           version and number of shards (`StoreLayout`)
shards/00012/tracks.tar              the files of its tracks, named after the tracks
shards/00012/videos.parquet          what became of its videos
shards/00012/index.parquet           its tracks, with their places in the tar; written
                                     last: a shard without it is unfinished
shards/00012/.unfinished/            the same as a store of loose files, until then
```

`index.parquet` and `report.json` are merged of all shards. Beside every
`index.parquet` of a store lies `index.arrow`, the same table to be mapped into memory:
it opens in milliseconds however long it is, and all processes share its pages.

Sound is uncompressed so that the half second of a clip is one read of 16 kB, without a
decoder and its seeking; it takes 115 MB an hour, about a third of the crops. The times
are needed where the frame rate varies.

The `video.json` files are the truth; the index and the report are rebuilt from them, so
a run that is killed at any moment loses at most the videos it was working on.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from lightly_marlin.jobs.ledger import INDEX_NAME, REPORT_NAME
from lightly_marlin.jobs.record import JobRecord
from lightly_marlin.regions import CELL_SIZE
from lightly_marlin.utils.dependency import require

__all__ = [
    "CELLS_PER_SIDE",
    "CROP_SIZE",
    "FORMAT_VERSION",
    "INDEX_NAME",
    "LOOSE",
    "NUM_LANDMARKS",
    "READ_VERSIONS",
    "REPORT_NAME",
    "SHARDS_NAME",
    "STORE_NAME",
    "TRACKS_NAME",
    "VERSION_KEY",
    "VIDEO_NAME",
    "TrackRow",
    "VideoRecord",
    "common_quality",
    "index_schema",
    "person_id",
    "track_arrays",
    "video_id",
]

FORMAT_VERSION = 3
READ_VERSIONS = (2, 3)
"""Versions that can be read; stores of version 2 have no shards."""

# Values of settings that earlier records lack, because they were fixed.
_EARLIER_SETTINGS = {"jpeg_quality": 65, "audio": False}
VERSION_KEY = b"lightly_marlin.face_store_version"
"""Key of the store's version in the metadata of the index's Parquet schema."""

TRACKS_NAME = "tracks"
SHARDS_NAME = "shards"
STORE_NAME = "store.json"
VIDEO_NAME = "video.json"

CROP_SIZE = 224
"""Side of a crop in pixels."""
CELLS_PER_SIDE = CROP_SIZE // CELL_SIZE
NUM_LANDMARKS = 68

LOOSE = -1
"""Offset of tracks whose files lie on their own."""


@dataclass(frozen=True)
class TrackRow:
    """One row of the index.

    Attributes:
        track_id: Unique and stable name of the track, usable as a file name.
        source: Video, as a POSIX path relative to the folder that was prepared.
        start_frame: Index of the track's first frame in the source.
        num_frames: Length of the track in frames.
        fps: Frame rate of the source in frames per second.
        width: Width of the source in pixels, after rotation.
        height: Height of the source in pixels, after rotation.
        score: Detector's confidence in the face; higher is more certain.
        coverage:
            Share of the frames, in [0, 1], in which a detector saw the face or did so
            within a few frames; in the others it was only tracked or interpolated.
        face_size: Median side of the crop box in source pixels.
        video: Path of the crops, or of the tar that has them, relative to the store.
        person_id: Name shared by all tracks of one person within a video.
        detected_share: Share of the frames in which a detector saw the face, in [0, 1].
        landmark_confidence:
            Mean confidence of the landmarks in [0, 1]; None if it was not measured.
        face_width: Median side of the face's own box in source pixels, without padding.
        sharpness: Ratio of detail to contrast in the crop; see `faces.track_quality`.
        brightness: Median luma of the face in [0, 255].
        contrast: Median standard deviation of that luma, in grey levels.
        yaw: Median yaw in degrees, positive towards the right of the image.
        pitch: Median pitch in degrees, positive upwards.
        roll: Median roll in degrees, positive clockwise.
        max_abs_yaw: Largest absolute yaw in degrees.
        box_jitter: Jitter of the crop box in units of the face's width.
        num_samples: Samples of the track's sound at 16 kHz; 0 if it has none.
        shard: Number of the shard that holds the track; 0 in a store without shards.
        offset: Place of the crop video in the shard's tar, in bytes; -1 in a store
            without shards.
        video_bytes: Size of the crop video in the tar; 0 in a store without shards.
    """

    track_id: str
    source: str
    start_frame: int
    num_frames: int
    fps: float
    width: int
    height: int
    score: float
    coverage: float
    face_size: float
    video: str
    person_id: str
    detected_share: float
    landmark_confidence: float | None
    face_width: float
    sharpness: float
    brightness: float
    contrast: float
    yaw: float
    pitch: float
    roll: float
    max_abs_yaw: float
    box_jitter: float
    num_samples: int = 0
    shard: int = 0
    offset: int = LOOSE
    video_bytes: int = 0

    def array_path(self, name: str) -> str:
        """Returns the path of one of the track's arrays, relative to the store."""
        return str(PurePosixPath(self.video).with_suffix(f".{name}.npy"))


@dataclass(frozen=True)
class VideoRecord(JobRecord[TrackRow]):
    """Outcome of one video; the content of its `video.json`.

    Attributes:
        path: Absolute path of the video when it was prepared.
        weights: Weight files that were used, each a dict of `role`, `name`, `licence`
            and `commercial`; empty in stores of earlier releases.
    """

    path: str = ""
    weights: Sequence[dict[str, Any]] = ()

    def to_json(self) -> dict[str, Any]:
        """Returns plain values for `json.dumps`."""
        return {"version": FORMAT_VERSION, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> VideoRecord:
        """Reads a record from the result of `to_json`.

        Raises:
            ValueError: If the value is of another version or damaged.
        """
        version = value.get("version") if isinstance(value, dict) else None
        if version not in READ_VERSIONS:
            raise ValueError(f"Invalid version {version}.")
        fields = {key: item for key, item in value.items() if key != "version"}
        try:
            rows = tuple(TrackRow(**row) for row in fields.pop("rows"))
            record = cls(rows=rows, **fields)
        except (KeyError, TypeError) as error:
            raise ValueError(f"Invalid record: {error}.") from error
        if not isinstance(record.source, str):
            raise ValueError(f"Invalid record: its source is {record.source!r}.")
        if isinstance(record.fingerprint, dict) and record.fingerprint:
            settings = {**_EARLIER_SETTINGS, **record.fingerprint}
            record = dataclasses.replace(record, fingerprint=settings)
        return record


def common_quality(records: Iterable[VideoRecord]) -> int | None:
    """Returns the JPEG quality that the crops of all videos share.

    Args:
        records: Records of the videos with tracks.

    Returns:
        Quality from 1 to 100; None if there is no video, or they differ.
    """
    found = [record.fingerprint.get("jpeg_quality") for record in records]
    return found[0] if found and all(one == found[0] for one in found) else None


def video_id(source: str) -> str:
    """Returns the folder name of a video: readable, unique and stable.

    Args:
        source: Path of the video relative to the prepared folder.

    Returns:
        A slug of the file's stem and a hash of the whole relative path, so equal names
        in different folders stay distinct.
    """
    stem = PurePosixPath(source).stem
    slug = re.sub(r"[^A-Za-z0-9]+", "_", stem).strip("_")[:40] or "video"
    digest = hashlib.blake2b(source.encode("utf-8"), digest_size=6).hexdigest()
    return f"{slug}_{digest}"


def person_id(video: str, person: int) -> str:
    """Returns the name of a person: the video's name and a number within it.

    Args:
        video: The video's id.
        person: Number of the person within the video, from 0.
    """
    return f"{video}_p{person:02d}"


def track_arrays(
    num_frames: int, num_samples: int = 0
) -> dict[str, tuple[npt.DTypeLike, tuple[int, ...]]]:
    """Returns dtype and shape of every array of a track, by name.

    Args:
        num_frames: Length of the track in frames.
        num_samples: Samples of its sound; 0 for a track without sound.
    """
    sound: dict[str, tuple[npt.DTypeLike, tuple[int, ...]]] = {
        "audio": (np.int16, (num_samples,)),
        "seconds": (np.float64, (num_frames,)),
    }
    return {
        "frames": (np.int64, (num_frames, 2)),
        "cells": (np.uint16, (num_frames, CELLS_PER_SIDE, CELLS_PER_SIDE)),
        "landmarks": (np.float32, (num_frames, NUM_LANDMARKS, 2)),
        "boxes": (np.float32, (num_frames, 4)),
        "angles": (np.float32, (num_frames,)),
        **(sound if num_samples else {}),
    }


def index_schema() -> Any:
    """Returns the Arrow schema of the index, with the version in its metadata."""
    pa = require("pyarrow", "A face store")
    types = {"str": pa.string(), "int": pa.int64(), "float": pa.float64()}
    fields = []
    for column in dataclasses.fields(TrackRow):
        kind, _, optional = str(column.type).partition(" | ")
        type_ = pa.int32() if column.name == "shard" else types[kind]
        fields.append(pa.field(column.name, type_, nullable=bool(optional)))
    return pa.schema(fields, metadata={VERSION_KEY: str(FORMAT_VERSION).encode()})
