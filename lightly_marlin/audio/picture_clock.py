"""Time of a video's first picture, from which sound is counted."""

from __future__ import annotations

import contextlib
from pathlib import Path

from lightly_marlin.utils.media import (
    MAX_PIXELS,
    MediaError,
    decode_frames,
    find_stream,
    open_media,
)

__all__ = ["first_picture_seconds"]


def first_picture_seconds(path: Path | str) -> float | None:
    """Returns the time stamp of the first picture, on the clock of the container.

    It is that of the first picture that can be decoded: in a recording that was cut,
    pictures before the first key frame are lost, though the header counts them.

    Args:
        path: A media file.

    Returns:
        Seconds; None if there is no picture, or its time is unknown.

    Raises:
        MediaError: If the file cannot be opened.
        MissingExtraError: If PyAV is not installed.
    """
    path = Path(path)
    with contextlib.ExitStack() as resources:
        container = open_media(path, resources, "recording", MediaError)
        try:
            stream = find_stream(container, "video", path, MediaError)
        except MediaError:
            return None
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        stream.thread_type, stream.thread_count = "NONE", 1
        frame = next(decode_frames(container, stream), None)
        unit = None if frame is None else frame.time_base or stream.time_base
        if frame is None or frame.pts is None or unit is None:
            return None
        return float(frame.pts * unit)
