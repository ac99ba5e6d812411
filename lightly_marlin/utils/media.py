"""Media files from anywhere: opened without trust, with errors in one line.

- [0]: PyAV, https://pyav.basswood-io.com
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.errors import UsageError

__all__ = ["MAX_PIXELS", "MediaError", "decode_frames", "find_stream", "open_media"]

MAX_PIXELS = 2**26
"""Pixels of a frame: twice 8K. A few kilobytes can decode to 16000x16000 pixels."""

_PLAYLISTS = frozenset({"concat", "dash", "hls", "imf"})
"""Demuxers of files that refer to other files, which are separate videos or none at
all."""


class MediaError(UsageError):
    """Error for a media file that cannot be used.

    Attributes:
        path: The file.
        reason: Why it cannot be used, without the path.
    """

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(str(path), reason)
        self.path = str(path)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def open_media(
    path: Path,
    resources: contextlib.ExitStack,
    noun: str,
    error: type[MediaError],
    max_pixels: int = MAX_PIXELS,
) -> Any:
    """Opens a media file and makes FFmpeg's errors readable.

    Args:
        path: The file.
        resources: Stack that closes the file; closed here if it cannot be opened.
        noun: Word for such a file in messages, for example "video".
        error: Error to raise.
        max_pixels: Pixels of the largest picture that is decoded.

    Returns:
        PyAV's input container.

    Raises:
        MediaError: As `error`, if the file cannot be opened, with the reason.
        MissingExtraError: If PyAV is not installed.
    """
    av = require("av", f"Reading {noun}s")
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            # Opening a pipe or a device could block forever.
            raise error(path, "is no regular file")
        if status.st_size == 0:
            raise error(path, "the file is empty")
        source: Any = os.path.abspath(path)
        if not _is_utf8(source):
            # FFmpeg accepts no other names; an open file needs none.
            handle = os.open(source, os.O_RDONLY)
            source = resources.enter_context(io.FileIO(handle))
        # PyAV 19 takes metadata that are no text by itself.
        earlier = int(av.__version__.partition(".")[0]) < 19
        lenient = {"metadata_errors": "replace"} if earlier else {}
        container = av.open(source, options={"max_pixels": str(max_pixels)}, **lenient)
    except MediaError:
        raise
    except (av.FFmpegError, OSError, ValueError) as cause:
        resources.close()
        reason = getattr(cause, "strerror", None) or str(cause)
        if isinstance(cause, EOFError):
            reason = "it ends before its first frame"
        elif isinstance(cause, av.error.InvalidDataError):
            reason = f"not a {noun}, or cut off before its index"
        raise error(path, f"cannot be opened: {reason}") from cause
    resources.callback(container.close)
    if container.format.name in _PLAYLISTS:
        resources.close()
        raise error(path, f"is a list of {noun}s, not a {noun}")
    return container


def find_stream(container: Any, kind: str, path: Path, error: type[MediaError]) -> Any:
    """Returns the stream that players play: FFmpeg's choice, but no cover picture.

    Args:
        container: PyAV's input container.
        kind: "video" or "audio".
        path: Its file, for messages.
        error: Error to raise.

    Raises:
        MediaError: As `error`, if there is none, or it cannot be decoded.
    """
    av = require("av", "Reading media files")
    streams = [
        stream
        for stream in getattr(container.streams, kind)
        if not stream.disposition & av.stream.Disposition.attached_pic
    ]
    if not streams:
        raise error(path, f"has no {kind} stream")
    streams = [stream for stream in streams if stream.codec_context is not None]
    if not streams:
        raise error(path, f"its {kind} codec cannot be decoded")
    best = container.streams.best(kind)
    return best if best in streams else streams[0]


def decode_frames(container: Any, stream: Any) -> Iterator[Any]:
    """Yields the decoded frames of a stream; damaged packets are skipped.

    Args:
        container: PyAV's input container.
        stream: One of its streams.
    """
    av = require("av", "Reading media files")
    errors = (av.FFmpegError, OSError, ValueError)
    packets = iter(container.demux(stream))
    while True:
        try:
            packet = next(packets, None)
        except errors:
            # The container cannot be read further; the decoder may still hold frames.
            packet = None
        if packet is not None and packet.size == 0:
            # In the middle of a file, it would end the stream for the decoder.
            continue
        frames: list[Any] = []
        with contextlib.suppress(*errors):
            frames = stream.decode(packet)
        yield from frames
        if packet is None:
            return


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
