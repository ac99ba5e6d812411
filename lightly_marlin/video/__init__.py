"""Videos: reader of any file frame by frame, plain writer, sound, frame times."""

from __future__ import annotations

from lightly_marlin.video.frame_times import frame_seconds
from lightly_marlin.video.mux import mux_audio
from lightly_marlin.video.reader import VideoError, VideoReader, iter_frames
from lightly_marlin.video.writer import write_video

__all__ = [
    "VideoError",
    "VideoReader",
    "frame_seconds",
    "iter_frames",
    "mux_audio",
    "write_video",
]
