"""Resizing of clips to the frames that a model takes."""

from __future__ import annotations

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
    """
    if videos.shape[-1] == videos.shape[-2] == size:
        return videos
    frames = F.interpolate(
        videos.flatten(0, -4).float(), (size, size), mode="bilinear", antialias=True
    )
    if not videos.is_floating_point():
        frames = frames.round().clamp(0, 255)
    return frames.reshape(*videos.shape[:-2], size, size).to(videos.dtype)
