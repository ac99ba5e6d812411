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
        On the CPU, uint8 is rounded after each of the two axes: at most a level apart.
    """
    if videos.shape[-1] == videos.shape[-2] == size:
        return videos
    # uint8 as decoders lay it out, channels last, is resized several times faster.
    frames = videos.transpose(-4, -3).flatten(0, -4)
    if videos.dtype != torch.uint8 or videos.device.type != "cpu":
        frames = frames.float()
    frames = F.interpolate(frames, (size, size), mode="bilinear", antialias=True)
    if not videos.is_floating_point():
        frames = frames.round().clamp(0, 255)
    frames = frames.unflatten(0, (*videos.shape[:-4], videos.shape[-3]))
    return frames.transpose(-4, -3).to(videos.dtype).contiguous()
