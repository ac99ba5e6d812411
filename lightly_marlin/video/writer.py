"""Writer of plain H.264 videos, with sound or without."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lightly_marlin.audio.samples import RATE, check_samples
from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.files import atomic_write
from lightly_marlin.utils.scheduling import keep_scheduling
from lightly_marlin.video.sound_track import SoundTrack

__all__ = ["write_video"]

_CLOCK = Fraction(1, 90000)
"""Unit of presentation times that were given, in seconds: that of MPEG."""

# With AVX-512, x264's macroblock tree gives other files from the same frames.
_REPEATABLE = {"libx264": {"x264-params": "mbtree=0"}}


def write_video(
    path: Path | str,
    frames: Iterable[npt.NDArray[np.uint8]],
    fps: float = 25.0,
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    options: Mapping[str, str] | None = None,
    audio: npt.NDArray[np.floating[Any]] | None = None,
    audio_rate: int = RATE,
    audio_start: float = 0.0,
    seconds: Sequence[float] | npt.NDArray[np.floating[Any]] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes frames as a video file; the same frames give the same file.

    The file is written beside its place and renamed when it is whole.

    Args:
        path: The file to write; its suffix chooses the container.
        frames:
            uint8 arrays with shape (H, W, 3), RGB; at least one, all of one size that
            the pixel format allows (even for yuv420p).
        fps: Frame rate in frames per second; the average one with `seconds`.
        codec: Name of an FFmpeg encoder.
        pixel_format: Name of an FFmpeg pixel format that the encoder takes.
        options: Options of the encoder, such as {"crf": "40"}.
        audio:
            Sound to add as AAC: floats with shape (n,), or (2, n) in stereo, in
            [-1, 1]; None for none. It may be shorter or longer than the pictures.
        audio_rate: Samples per second of `audio`.
        audio_start:
            Seconds from the first picture to the first sample. What is earlier than the
            first picture is cut; silence fills a later start.
        seconds:
            Presentation times of the frames, ascending, for a variable frame rate; for
            .mp4, .mov and .mkv. None for a constant one.
        metadata: Notes by name, such as {"comment": "..."}, as the container allows.

    Raises:
        ValueError: If the sound has another shape or type, is not finite, or its rate
            or start is impossible; or if `seconds` does not ascend or is too short.
        MissingExtraError: If PyAV is not installed.
    """
    samples = None if audio is None else _as_channels(audio)
    stamps = None if seconds is None else _as_stamps(seconds)
    av = require("av", "Writing videos")
    rate = Fraction(fps).limit_denominator(1001)
    with atomic_write(path) as temporary, av.open(str(temporary), "w") as container:
        settings = {**_REPEATABLE.get(codec, {}), **(options or {})}
        stream = container.add_stream(codec, rate=rate, options=settings)
        stream.pix_fmt = pixel_format
        # Encoders split the work among threads, so their number changes the file.
        stream.codec_context.thread_count = 1
        if stamps is not None:
            stream.codec_context.time_base = _CLOCK
        container.metadata.update(metadata or {})
        sound = None
        if samples is not None:
            sound = SoundTrack(container, samples, audio_rate, audio_start)
        for index, frame in enumerate(frames):
            if index == 0:
                stream.height, stream.width = frame.shape[:2]
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            if stamps is not None:
                if index == len(stamps):
                    raise ValueError(f"seconds ends after {index} frames of more")
                picture.pts, picture.time_base = stamps[index], _CLOCK
            # The first one opens the encoder.
            with keep_scheduling():
                packets = stream.encode(picture)
            container.mux(packets)
            if sound is not None:
                sound.write_until((index + 1) / fps)
        container.mux(stream.encode())
        if sound is not None:
            sound.finish()


def _as_channels(audio: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """Returns sound as float64 (1, n) or (2, n)."""
    if np.ndim(audio) == 2 and len(audio) == 2:
        return np.stack([check_samples(channel) for channel in audio])
    return check_samples(audio)[None]


def _as_stamps(seconds: Sequence[float] | npt.NDArray[Any]) -> list[int]:
    """Returns presentation times in units of the clock."""
    times = np.asarray(seconds, np.float64)
    stamps = np.rint((times - times[:1]) / float(_CLOCK))
    if not (np.diff(stamps) > 0).all():
        raise ValueError("seconds must ascend, by at least 1/90000 s from each frame")
    return [int(stamp) for stamp in stamps]
