"""Features of videos: windows over their whole length, encoded in batches.

`extract_video` returns the features of one video, `extract_folder` writes those of
many, `extract_store` those of a face store.
"""

from __future__ import annotations

from lightly_marlin.features.batching import WindowEncoder
from lightly_marlin.features.extract_folder import (
    FolderSummary,
    extract_folder,
    video_sources,
)
from lightly_marlin.features.extract_store import extract_store, store_sources
from lightly_marlin.features.extract_video import (
    VideoFeatures,
    extract_features,
    extract_video,
)
from lightly_marlin.features.options import ExtractionOptions
from lightly_marlin.features.video_windows import video_windows
from lightly_marlin.features.window_model import WindowModel
from lightly_marlin.features.windows import Window, WindowCutter
from lightly_marlin.preparation.video_faces import NoFaceError

__all__ = [
    "ExtractionOptions",
    "FolderSummary",
    "NoFaceError",
    "VideoFeatures",
    "Window",
    "WindowCutter",
    "WindowEncoder",
    "WindowModel",
    "extract_features",
    "extract_folder",
    "extract_store",
    "extract_video",
    "store_sources",
    "video_sources",
    "video_windows",
]
