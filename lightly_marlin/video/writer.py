"""Writer of plain H.264 videos."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lightly_marlin.utils.dependency import require

__all__ = ["write_video"]


def write_video(
    path: Path | str,
    frames: Iterable[npt.NDArray[np.uint8]],
    fps: float = 25.0,
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    options: Mapping[str, str] | None = None,
) -> None:
    """Writes frames as a video file.

    Args:
        path: The file to write; its suffix chooses the container.
        frames:
            uint8 arrays with shape (H, W, 3), RGB; at least one, all of one size that
            the pixel format allows (even for yuv420p).
        fps: Frame rate in frames per second.
        codec: Name of an FFmpeg encoder.
        pixel_format: Name of an FFmpeg pixel format that the encoder takes.
        options: Options of the encoder, such as {"crf": "40"}.
    """
    av = require("av", "Writing videos")
    rate = Fraction(fps).limit_denominator(1001)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=dict(options or {}))
        stream.pix_fmt = pixel_format
        # Encoders split the work among threads, so their number changes the file.
        stream.codec_context.thread_count = 1
        for index, frame in enumerate(frames):
            if index == 0:
                stream.height, stream.width = frame.shape[:2]
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
