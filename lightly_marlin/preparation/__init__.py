"""Preparation of a face store from raw videos."""

from __future__ import annotations

from lightly_marlin.preparation.prepare_folder import PreparationSummary, prepare_videos
from lightly_marlin.preparation.video_files import VideoFile, find_videos

__all__ = [
    "PreparationSummary",
    "VideoFile",
    "find_videos",
    "prepare_videos",
]
