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
from collections.abc import Generator, Iterator
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

__all__ = ["AudioError", "iter_audio", "read_audio", "read_channels"]


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

    Memory grows with the length: 230 MB per hour at 16 kHz; that of `iter_audio` does
    not.

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


def iter_audio(
    path: Path | str, rate: int = RATE
) -> Generator[tuple[int, npt.NDArray[np.float32]], None, None]:
    """Reads the sound of a recording like `read_audio`, block by block.

    Args:
        path: A media file.
        rate: Samples per second of the result.

    Yields:
        - Index of the block's first sample: sample i sounds i / rate seconds after the
          first picture, so those before it have negative indices.
        - float32 array with shape (n,), n > 0, in [-1, 1]. Each block begins where the
          one before ends.

    Raises:
        AudioError: If the file cannot be opened, or not a single sample can be decoded.
        ValueError: If `rate` is no positive integer.
        MissingExtraError: If PyAV is not installed.
    """
    index: int | None = None
    for begin, block in _blocks(Path(path), rate, 1):
        if index is None:
            index = round(_start(begin, first_picture_seconds(path)) * rate)
        yield index, block[0]
        index += block.shape[1]


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
    path = Path(path)
    blocks = list(_blocks(path, rate, max_channels))
    begin = blocks[0][0]
    channels = np.concatenate([block for _, block in blocks], axis=1)
    return channels, _start(begin, first_picture_seconds(path))


def _blocks(
    path: Path, rate: int, max_channels: int
) -> Iterator[tuple[float, npt.NDArray[np.float32]]]:
    """Yields the sound of a recording, in blocks that follow each other.

    Args:
        path: A media file.
        rate: Samples per second of the result.
        max_channels: See `read_channels`.

    Yields:
        - Time of the recording's first sample, not the block's, in seconds on the
          container's clock.
        - float32 array with shape (channels, n), n > 0, in [-1, 1].
    """
    if not isinstance(rate, int) or rate < 1:
        raise ValueError(f"rate must be a positive integer, got {rate!r}")
    is_empty = True
    for begin, block in _resampled(path, rate, max_channels):
        if block.shape[1] > 0:
            is_empty = False
            yield begin, block
    if is_empty:
        raise AudioError(path, f"its sound is too short for {rate} samples per second")


def _resampled(
    path: Path, rate: int, max_channels: int
) -> Iterator[tuple[float, npt.NDArray[np.float32]]]:
    """Yields like `_blocks`, but also blocks without samples, or no block."""
    timeline = None
    with contextlib.ExitStack() as resources:
        container = open_media(path, resources, "recording", AudioError)
        stream = find_stream(container, "audio", path, AudioError)
        for frame in filter(_is_sound, decode_frames(container, stream)):
            if timeline is None:
                mono = max_channels == 1 or frame.layout.nb_channels == 1
                timeline = Timeline(rate, "mono" if mono else "stereo")
            for block in timeline.add(frame, stream.time_base):
                yield timeline.begin, block
    if timeline is None:
        raise AudioError(path, "no sample of its sound can be decoded")
    for block in timeline.finish():
        yield timeline.begin, block


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
