"""Data sets and loaders of clips from face stores.

The store itself, preparation, video files and the demo clips have separate packages.
Their names can also be imported from here and are loaded on first use, because existing
programs use `lightly_marlin.data.FaceStore` and similar names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightly_marlin.data.clip_loader import clip_loader
from lightly_marlin.data.clip_pairs import FaceClipPair, FaceClipPairs
from lightly_marlin.data.clip_sampler import ResumableClipSampler
from lightly_marlin.data.distinct_sampler import DistinctGroupSampler
from lightly_marlin.data.face_clips import FaceClip, FaceClips
from lightly_marlin.data.youtube_faces import YouTubeFaces
from lightly_marlin.utils.lazy_names import lazy_names

if TYPE_CHECKING:
    from lightly_marlin.demo import demo_store, open_store
    from lightly_marlin.preparation import (
        PreparationSummary,
        VideoFile,
        find_videos,
        prepare_videos,
    )
    from lightly_marlin.store import (
        FaceStore,
        Track,
        TrackFilter,
        TrackRow,
        VideoRecord,
        add_filter_options,
        export_store,
        merge_shards,
        merge_stores,
        split_tracks,
    )
    from lightly_marlin.video import VideoError, VideoReader, iter_frames, write_video

_ELSEWHERE = {
    "demo": ("demo_store", "open_store"),
    "preparation": (
        "PreparationSummary",
        "VideoFile",
        "find_videos",
        "prepare_videos",
    ),
    "store": (
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
    ),
    "video": ("VideoError", "VideoReader", "iter_frames", "write_video"),
}
_ROOMS = {name: f".{room}" for room, names in _ELSEWHERE.items() for name in names}

__all__ = [
    "DistinctGroupSampler",
    "FaceClip",
    "FaceClipPair",
    "FaceClipPairs",
    "FaceClips",
    "FaceStore",
    "PreparationSummary",
    "ResumableClipSampler",
    "Track",
    "TrackFilter",
    "TrackRow",
    "VideoError",
    "VideoFile",
    "VideoReader",
    "VideoRecord",
    "YouTubeFaces",
    "add_filter_options",
    "clip_loader",
    "demo_store",
    "export_store",
    "find_videos",
    "iter_frames",
    "merge_shards",
    "merge_stores",
    "open_store",
    "prepare_videos",
    "split_tracks",
    "write_video",
]

__getattr__ = lazy_names(__name__, _ROOMS)


def __dir__() -> list[str]:
    return sorted([*globals(), *_ROOMS])
