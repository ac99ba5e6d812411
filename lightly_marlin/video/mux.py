"""Muxing: the pictures of one file with the sound of another."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lightly_marlin.audio.picture_clock import first_picture_seconds
from lightly_marlin.audio.reader import read_channels
from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.errors import first_line
from lightly_marlin.utils.files import atomic_write
from lightly_marlin.utils.media import find_stream, open_media
from lightly_marlin.video.reader import VideoError
from lightly_marlin.video.sound_track import SoundTrack

__all__ = ["mux_audio"]

_RATE = 48000
_DEFAULT_FPS = 25


def mux_audio(video: Path | str, audio: Path | str, out: Path | str) -> None:
    """Gives a video another sound; its pictures are copied as they are.

    The sound begins with the first picture; that of a file which has pictures of its
    own begins as long before or after them as there. It is encoded as AAC in mono or
    stereo at 48 kHz, and may be shorter or longer than the pictures. The file is
    written beside its place and renamed when it is whole, so `out` may be `video`.

    Args:
        video: File of the pictures; its own sound is left out.
        audio: File of the sound, which may be a video.
        out:
            The file to write; its suffix chooses the container, which must take the
            codec of the pictures and AAC: .mp4, .mov or .mkv.

    Raises:
        VideoError: If the video cannot be read, or not be written to such a container,
            or the whole sound is earlier than the first picture.
        AudioError: If the sound cannot be read.
        MissingExtraError: If PyAV is not installed.
    """
    av = require("av", "Writing videos")
    video, out = Path(video), Path(out)
    samples, start = read_channels(audio, _RATE, 2)
    with contextlib.ExitStack() as resources:
        source = open_media(video, resources, "video", VideoError)
        pictures = find_stream(source, "video", video, VideoError)
        first = first_picture_seconds(video)
        if first is None:
            raise VideoError(video, "no frame with a time stamp can be decoded")
        try:
            with atomic_write(out) as temporary, av.open(str(temporary), "w") as target:
                copy = target.add_stream_from_template(pictures)
                sound = SoundTrack(target, samples, _RATE, start, first)
                _copy_packets(av, source, pictures, target, copy, sound, first)
                sound.finish()
        except (av.FFmpegError, ValueError) as error:
            raise VideoError(out, f"cannot be written: {first_line(error)}") from error


def _copy_packets(
    av: Any,
    source: Any,
    pictures: Any,
    target: Any,
    copy: Any,
    sound: SoundTrack,
    first: float,
) -> None:
    """Copies the packets of a stream, each followed by the sound until then."""
    for packet in _with_decoding_times(_packets(av, source, pictures), pictures):
        seconds = float(packet.dts * packet.time_base)
        packet.stream = copy
        target.mux(packet)
        sound.write_until(seconds - first)


def _packets(av: Any, source: Any, pictures: Any) -> Iterator[Any]:
    """Yields the packets of a stream that have data, until the file is damaged."""
    with contextlib.suppress(av.FFmpegError, OSError, ValueError):
        yield from (packet for packet in source.demux(pictures) if packet.size)


def _with_decoding_times(packets: Iterator[Any], pictures: Any) -> Iterator[Any]:
    """Yields packets that all have decoding times.

    Matroska has none: FFmpeg derives them from a few packets, and leaves out the first.
    """
    early: list[Any] = []
    last: int | None = None
    for packet in packets:
        if packet.dts is None:
            if last is None:
                early.append(packet)
                continue
            packet.dts = last + 1
        yield from _count_back(early, packet.dts, pictures)
        early, last = [], packet.dts
        yield packet
    # Packets whose decoding times stay unknown are in the order of presentation.
    for packet in early:
        if packet.pts is not None:
            packet.dts = packet.pts
            yield packet


def _count_back(packets: Sequence[Any], end: int, pictures: Any) -> Iterator[Any]:
    """Gives packets the decoding times before that of the next one."""
    rate = pictures.average_rate or _DEFAULT_FPS
    for index, packet in enumerate(packets):
        step = packet.duration or max(1, round(1 / (rate * packet.time_base)))
        packet.dts = end - (len(packets) - index) * step
        yield packet
