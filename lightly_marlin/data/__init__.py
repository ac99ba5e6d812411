"""Videos, the face store, and clips for training."""

from __future__ import annotations

from lightly_marlin.data.clip_loader import clip_loader, open_store
from lightly_marlin.data.clip_sampler import ResumableClipSampler
from lightly_marlin.data.demo_store import demo_store
from lightly_marlin.data.face_clips import FaceClip, FaceClips
from lightly_marlin.data.face_store import FaceStore, Track
from lightly_marlin.data.prepare_folder import PreparationSummary, prepare_videos
from lightly_marlin.data.splits import split_tracks
from lightly_marlin.data.store_format import TrackRow, VideoRecord
from lightly_marlin.data.track_filter import TrackFilter, add_filter_options
from lightly_marlin.data.video import VideoError, VideoReader, iter_frames, write_video
from lightly_marlin.data.video_files import VideoFile, find_videos
from lightly_marlin.data.youtube_faces import YouTubeFaces

__all__ = [
    "FaceClip",
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
    "find_videos",
    "iter_frames",
    "open_store",
    "prepare_videos",
    "split_tracks",
    "write_video",
]
