"""Writer of plain H.264 videos, with sound or without."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lightly_marlin.audio.samples import RATE, check_samples
from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.files import atomic_write
from lightly_marlin.video.sound_track import SoundTrack

__all__ = ["write_video"]

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
) -> None:
    """Writes frames as a video file; the same frames give the same file.

    The file is written beside its place and renamed when it is whole.

    Args:
        path: The file to write; its suffix chooses the container.
        frames:
            uint8 arrays with shape (H, W, 3), RGB; at least one, all of one size that
            the pixel format allows (even for yuv420p).
        fps: Frame rate in frames per second.
        codec: Name of an FFmpeg encoder.
        pixel_format: Name of an FFmpeg pixel format that the encoder takes.
        options: Options of the encoder, such as {"crf": "40"}.
        audio:
            Sound to add as AAC: floats with shape (n,), in [-1, 1]; None for none. It
            may be shorter or longer than the pictures.
        audio_rate: Samples per second of `audio`.
        audio_start:
            Seconds from the first picture to the first sample. What is earlier than the
            first picture is cut; silence fills a later start.

    Raises:
        ValueError: If the sound has another shape or type, is not finite, or its rate
            or start is impossible.
        MissingExtraError: If PyAV is not installed.
    """
    samples = None if audio is None else check_samples(audio)[None]
    av = require("av", "Writing videos")
    rate = Fraction(fps).limit_denominator(1001)
    with atomic_write(path) as temporary, av.open(str(temporary), "w") as container:
        settings = {**_REPEATABLE.get(codec, {}), **(options or {})}
        stream = container.add_stream(codec, rate=rate, options=settings)
        stream.pix_fmt = pixel_format
        # Encoders split the work among threads, so their number changes the file.
        stream.codec_context.thread_count = 1
        sound = None
        if samples is not None:
            sound = SoundTrack(container, samples, audio_rate, audio_start)
        for index, frame in enumerate(frames):
            if index == 0:
                stream.height, stream.width = frame.shape[:2]
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            container.mux(stream.encode(picture))
            if sound is not None:
                sound.write_until((index + 1) / fps)
        container.mux(stream.encode())
        if sound is not None:
            sound.finish()
