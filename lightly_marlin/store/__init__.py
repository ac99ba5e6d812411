"""The face store: tracks of face crops with their regions and landmarks."""

from __future__ import annotations

from lightly_marlin.store.crop_options import CropOptions
from lightly_marlin.store.export import export_store
from lightly_marlin.store.face_store import FaceStore
from lightly_marlin.store.format import TrackRow, VideoRecord
from lightly_marlin.store.joining import merge_stores
from lightly_marlin.store.merging import merge_shards
from lightly_marlin.store.splits import split_tracks
from lightly_marlin.store.track import Track
from lightly_marlin.store.track_filter import TrackFilter, add_filter_options

__all__ = [
    "CropOptions",
    "FaceStore",
    "Track",
    "TrackFilter",
    "TrackRow",
    "VideoRecord",
    "add_filter_options",
    "export_store",
    "merge_shards",
    "merge_stores",
    "split_tracks",
]
