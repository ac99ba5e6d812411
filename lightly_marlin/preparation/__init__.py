"""Preparation of a face store from raw videos."""

from __future__ import annotations

from lightly_marlin.preparation.list_videos import list_videos
from lightly_marlin.preparation.manifest import read_manifest
from lightly_marlin.preparation.prepare_folder import PreparationSummary, prepare_videos
from lightly_marlin.preparation.ray_engine import ShardsFailedError
from lightly_marlin.preparation.video_file import VideoFile
from lightly_marlin.preparation.video_files import find_videos

__all__ = [
    "PreparationSummary",
    "ShardsFailedError",
    "VideoFile",
    "find_videos",
    "list_videos",
    "prepare_videos",
    "read_manifest",
]
