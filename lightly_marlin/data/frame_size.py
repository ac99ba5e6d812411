"""Resizing of clips to the frames that a model takes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["fit_frames"]


def fit_frames(videos: Tensor, size: int) -> Tensor:
    """Resizes the frames of clips, bilinearly and without aliasing.

    Args:
        videos: Clips (..., C, T, H, W), uint8 or floating point.
        size: Height and width of the result in pixels.

    Returns:
        Clips (..., C, T, size, size) of the same dtype; the same tensor if it fits.
        On the CPU, uint8 is resized in bytes, which differ from those that float32
        rounds to by at most one level.
    """
    if videos.shape[-1] == videos.shape[-2] == size:
        return videos
    if videos.dtype == torch.uint8 and videos.device.type == "cpu":
        return _fit_bytes(videos, size)
    frames = _resize(videos.flatten(0, -4).float(), size)
    if not videos.is_floating_point():
        frames = frames.round().clamp(0, 255)
    return frames.reshape(*videos.shape[:-2], size, size).to(videos.dtype)


def _fit_bytes(videos: Tensor, size: int) -> Tensor:
    """Resizes clips of uint8: fastest as decoders lay them out, channels last."""
    frames = videos.transpose(-4, -3)
    resized = _resize(frames.flatten(0, -4), size)
    resized = resized.reshape(*frames.shape[:-2], size, size)
    return resized.transpose(-4, -3).contiguous()


def _resize(frames: Tensor, size: int) -> Tensor:
    """Resizes frames (n, channels, H, W)."""
    return F.interpolate(frames, (size, size), mode="bilinear", antialias=True)
