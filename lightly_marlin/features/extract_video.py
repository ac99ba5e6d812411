"""Features of one video as tensors."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightly_marlin.features.batching import WindowEncoder
from lightly_marlin.features.options import ExtractionOptions
from lightly_marlin.features.reduction import Reduction, Row, make_reduction
from lightly_marlin.features.video_windows import VideoInfo, video_windows
from lightly_marlin.features.window_model import AnyModel
from lightly_marlin.features.windows import WindowPlace

__all__ = ["VideoFeatures", "extract_features", "extract_video"]


@dataclass(frozen=True)
class VideoFeatures:
    """Features of a video with their positions in it, by track, then by time.

    Attributes:
        features: float32 tensor (rows, D) or, with `keep_seq`, (rows, N, D); float16 if
            chosen.
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
    model: AnyModel,
    path: str | Path,
    *,
    precision: str = "32",
    batch_size: int | None = None,
    **options: Any,
) -> VideoFeatures:
    """Encodes the windows of a video and returns their positions too.

    Args:
        model: An encoder or another `WindowModel`, or a whole model for its encoder, on
            any device.
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
    encoder: WindowEncoder[WindowPlace] = WindowEncoder(
        model,
        precision=precision,
        keep_seq=chosen.keep_seq,
        pool_tokens=chosen.pool_tokens,
        batch_size=batch_size,
    )
    config = encoder.config
    info = VideoInfo()
    reductions: dict[int, Reduction] = defaultdict(
        lambda: make_reduction(chosen.reduction)
    )
    rows: dict[int, list[Row]] = defaultdict(list)

    def collect(encoded: Iterable[Row]) -> None:
        for row in encoded:
            track = row[0].track
            rows[track] += reductions[track].add(row)

    windows = video_windows(
        path, chosen, num_frames=config.num_frames, size=config.img_size, info=info
    )
    for window in windows:
        collect(encoder.add(window.place, window.clip))
    collect(encoder.flush())
    if info.note is not None:
        warnings.warn(f"{path}: {info.note}.", stacklevel=2)
    for track, reduction in reductions.items():
        rows[track] += reduction.finish()
    table = [row for track in sorted(rows) for row in rows[track]]
    places = [place for place, _ in table]
    dtype = getattr(torch, chosen.dtype)
    empty = torch.empty(0, *encoder.shape)
    return VideoFeatures(
        (torch.stack([row[1] for row in table]) if table else empty).to(dtype),
        tuple(place.track for place in places),
        tuple(place.start_frame for place in places),
        tuple(place.num_frames for place in places),
        info.fps,
        tuple(float(info.seconds[place.start_frame]) for place in places),
    )


def extract_video(model: AnyModel, path: str | Path, **options: Any) -> Tensor:
    """Encodes the windows of a video.

    Replaces `marlin_pytorch.Marlin.extract_video`. By default no tail is lost;
    `reference_windows=True` cuts windows as the original does.

    Example:
        >>> features = extract_video(encoder, "talk.mp4", crop_face=True)

    Args:
        model: An encoder or another `WindowModel`, or a whole model for its encoder, on
            any device.
        path: A video file.
        **options: Options `precision` and `batch_size` of `extract_features`, and
            fields of `ExtractionOptions`.

    Returns:
        float32 tensor on the CPU, or float16 if chosen: (windows, D); (windows, N, D)
        with `keep_seq`. After a reduction, without the first dimension, or one row per
        track with `all_faces`.

    Raises:
        UsageError: A ValueError, if an option is invalid.
        VideoError: If the video cannot be used, with the reason.
        NoFaceError: A VideoError, if `crop_face` is set and there is no face.
    """
    found = extract_features(model, path, **options)
    reduced = options.get("reduction", "none") != "none"
    single = reduced and not options.get("all_faces", False)
    return found.features[0] if single else found.features
