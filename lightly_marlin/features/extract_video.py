"""Features of one video as tensors."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lightly_marlin.features.batching import WindowEncoder
from lightly_marlin.features.options import ExtractionOptions
from lightly_marlin.features.reduction import Reduction, Row, make_reduction
from lightly_marlin.features.video_windows import VideoInfo, video_windows

if TYPE_CHECKING:
    from lightly_marlin.models import Marlin, MarlinEncoder

__all__ = ["VideoFeatures", "extract_features", "extract_video"]


@dataclass(frozen=True)
class VideoFeatures:
    """Features of a video with their positions in it, by track, then by time.

    Attributes:
        features: float32 tensor (rows, D) or, with `keep_seq`, (rows, N, D).
        tracks: Index of the track of every row; 0 for whole frames.
        start_frames: First frame of every row's window (after a reduction: of the
            first window of the track).
        num_frames: Frames of the window without padding (after a reduction: of all
            windows).
        fps: Average frame rate of the video in frames per second.
        start_seconds: Display time of these first frames, in seconds after the video's
            first frame.
    """

    features: Tensor
    tracks: tuple[int, ...]
    start_frames: tuple[int, ...]
    num_frames: tuple[int, ...]
    fps: float
    start_seconds: tuple[float, ...]


def extract_features(
    model: Marlin | MarlinEncoder,
    path: str | Path,
    *,
    precision: str = "32",
    batch_size: int | None = None,
    **options: Any,
) -> VideoFeatures:
    """Encodes the windows of a video and returns their positions too.

    Args:
        model: An encoder, or a whole model for its encoder, on any device.
        path: A video file.
        precision: "32" or "bf16".
        batch_size: Windows that are encoded together; see `WindowEncoder`.
        **options: Fields of `ExtractionOptions`.

    Returns:
        The features.

    Raises:
        UsageError: A ValueError, if an option is invalid.
        VideoError: If the video cannot be used, with the reason.
        NoFaceError: A VideoError, if `crop_face` is set and there is no face.
    """
    chosen = ExtractionOptions(**options)
    encoder: WindowEncoder[tuple[int, int, int]] = WindowEncoder(
        model, precision=precision, keep_seq=chosen.keep_seq, batch_size=batch_size
    )
    config = encoder.config
    info = VideoInfo()
    reductions: dict[int, Reduction] = defaultdict(
        lambda: make_reduction(chosen.reduction)
    )
    rows: dict[int, list[Row]] = defaultdict(list)

    def collect(encoded: Iterable[tuple[tuple[int, int, int], Tensor]]) -> None:
        for (track, start, count), vector in encoded:
            rows[track] += reductions[track].add((start, count, vector))

    windows = video_windows(
        path, chosen, num_frames=config.num_frames, size=config.img_size, info=info
    )
    for window in windows:
        key = (window.track, window.start_frame, window.num_frames)
        collect(encoder.add(key, window.clip))
    collect(encoder.flush())
    if info.note is not None:
        warnings.warn(f"{path}: {info.note}.", stacklevel=2)
    for track, reduction in reductions.items():
        rows[track] += reduction.finish()
    table = [(track, *row) for track in sorted(rows) for row in rows[track]]
    shape = (config.num_tokens,) if chosen.keep_seq else ()
    empty = torch.empty(0, *shape, config.encoder_dim)
    return VideoFeatures(
        torch.stack([row[3] for row in table]) if table else empty,
        tuple(row[0] for row in table),
        tuple(row[1] for row in table),
        tuple(row[2] for row in table),
        info.fps,
        tuple(float(info.seconds[row[1]]) for row in table),
    )


def extract_video(
    model: Marlin | MarlinEncoder, path: str | Path, **options: Any
) -> Tensor:
    """Encodes the windows of a video.

    Replaces `marlin_pytorch.Marlin.extract_video`. By default no tail is lost;
    `reference_windows=True` cuts windows as the original does.

    Example:
        >>> features = extract_video(encoder, "talk.mp4", crop_face=True)

    Args:
        model: An encoder, or a whole model for its encoder, on any device.
        path: A video file.
        **options: Options `precision` and `batch_size` of `extract_features`, and
            fields of `ExtractionOptions`.

    Returns:
        float32 tensor on the CPU: (windows, D); (windows, N, D) with `keep_seq`. After
        a reduction, without the first dimension, or one row per track with `all_faces`.

    Raises:
        UsageError: A ValueError, if an option is invalid.
        VideoError: If the video cannot be used, with the reason.
        NoFaceError: A VideoError, if `crop_face` is set and there is no face.
    """
    found = extract_features(model, path, **options)
    reduced = options.get("reduction", "none") != "none"
    single = reduced and not options.get("all_faces", False)
    return found.features[0] if single else found.features
