"""Checks of the models' inputs."""

from __future__ import annotations

import torch
from torch import Tensor

from lightly_marlin.models.config import MarlinConfig

__all__ = ["check_videos"]


def check_videos(videos: Tensor, config: MarlinConfig) -> None:
    """Rejects clips of a shape or dtype that the model does not take.

    Gathering the tubelets checks the range of values.

    Args:
        videos: Should be (B, C, T, H, W), uint8 in [0, 255] or float in [0, 1].
        config: The model's sizes.

    Raises:
        ValueError: If shape or dtype differ from these.
    """
    size = config.img_size
    clip_shape = (config.in_channels, config.num_frames, size, size)
    if videos.ndim != 5 or videos.shape[1:] != clip_shape:
        raise ValueError(
            f"Invalid shape of videos {tuple(videos.shape)}. "
            f"Supported is (B, {', '.join(map(str, clip_shape))})."
        )
    if videos.dtype != torch.uint8 and not videos.is_floating_point():
        raise ValueError(
            f"Invalid dtype of videos ({videos.dtype}). Supported are torch.uint8 in "
            "[0, 255] and floating point in [0, 1]."
        )
