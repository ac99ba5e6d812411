"""Reader of a recording's sound, aligned with its pictures.

Nothing about files is trusted: the stream is selected by type, damaged packets are
skipped while the rest is kept, the format may change on the way, and time stamps tell
the place of the sound unless they are impossible. FFmpeg converts rates, channels and
sample formats [0].

- [0]: https://ffmpeg.org/ffmpeg-resampler.html
"""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lightly_marlin.audio.picture_clock import first_picture_seconds
from lightly_marlin.audio.samples import RATE
from lightly_marlin.audio.timeline import MAX_GAP, Timeline
from lightly_marlin.utils.media import (
    MediaError,
    decode_frames,
    find_stream,
    open_media,
)

__all__ = ["AudioError", "read_audio", "read_channels"]


class AudioError(MediaError):
    """Error for a recording whose sound cannot be used; names it and the reason."""


def read_audio(
    path: Path | str, rate: int = RATE
) -> tuple[npt.NDArray[np.float32], float]:
    """Reads the sound of a video or sound file as one channel.

    Sample i sounds at i / rate + start seconds after the first picture, which is time 0
    of `frame_seconds` in `lightly_marlin.video`, too. Of several audio streams, it is
    the one that players play. Stereo is averaged; of surround sound, the channels are
    mixed as FFmpeg does, without the subwoofer, so that no sum exceeds the range. Gaps
    between time stamps are silence, and where stamps overlap, the earlier sound stays.
    Frequencies near half the rate and above are lost.

    Memory grows with the length: 230 MB per hour at 16 kHz.

    Args:
        path: A media file.
        rate: Samples per second of the result.

    Returns:
        - float32 array with shape (n,), n > 0, in [-1, 1].
        - Seconds from the first picture to the first sample; negative if the sound
          begins earlier. 0 without pictures, and if the two are more than ten minutes
          apart, as damaged stamps are.

    Raises:
        AudioError: If the file cannot be opened, or not a single sample can be decoded.
        ValueError: If `rate` is no positive integer.
        MissingExtraError: If PyAV is not installed.
    """
    channels, start = read_channels(path, rate, 1)
    return channels[0], start


def read_channels(
    path: Path | str, rate: int, max_channels: int
) -> tuple[npt.NDArray[np.float32], float]:
    """Reads the sound of a recording like `read_audio`, as one or two channels.

    Args:
        path: A media file.
        rate: Samples per second of the result.
        max_channels: 1 for mono; 2 for stereo, unless the file begins in mono.

    Returns:
        - float32 array with shape (channels, n), in [-1, 1].
        - Seconds from the first picture to the first sample.
    """
    if not isinstance(rate, int) or rate < 1:
        raise ValueError(f"rate must be a positive integer, got {rate!r}")
    path = Path(path)
    timeline = None
    with contextlib.ExitStack() as resources:
        container = open_media(path, resources, "recording", AudioError)
        stream = find_stream(container, "audio", path, AudioError)
        for frame in filter(_is_sound, decode_frames(container, stream)):
            if timeline is None:
                mono = max_channels == 1 or frame.layout.nb_channels == 1
                timeline = Timeline(rate, "mono" if mono else "stereo")
            timeline.add(frame, stream.time_base)
    if timeline is None:
        raise AudioError(path, "no sample of its sound can be decoded")
    channels, begin = timeline.finish()
    if channels.shape[1] == 0:
        raise AudioError(path, f"its sound is too short for {rate} samples per second")
    return channels, _start(begin, first_picture_seconds(path))


def _start(begin: float, picture: float | None) -> float:
    """Returns the seconds from the first picture to the first sample, 0 if unknown."""
    start = math.nan if picture is None else begin - picture
    return start if abs(start) <= MAX_GAP else 0.0


def _is_sound(frame: Any) -> bool:
    """Returns whether a frame has samples, a rate, and only finite numbers."""
    if frame.samples <= 0 or frame.sample_rate <= 0:
        return False
    floating = frame.format.name.startswith(("flt", "dbl"))
    return not floating or bool(np.isfinite(frame.to_ndarray()).all())
