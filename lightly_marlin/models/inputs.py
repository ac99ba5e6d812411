"""Checks of what users hand to the models."""

from __future__ import annotations

import torch
from torch import Tensor

from lightly_marlin.models.config import MarlinConfig

__all__ = ["check_videos"]

# A mean or a resize in half precision may end a rounding step outside of [0, 1].
_ROUNDING = 1e-2


def check_videos(videos: Tensor, config: MarlinConfig) -> None:
    """Refuses clips that the model cannot have been meant for.

    Values are looked at on the CPU only: elsewhere it would wait for the device.

    Args:
        videos: Should be (B, C, T, H, W), uint8 in [0, 255] or float in [0, 1].
        config: The model's sizes.

    Raises:
        ValueError: If shape, dtype or range is another.
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
    readable = videos.device.type == "cpu" and not torch.compiler.is_compiling()
    if videos.dtype == torch.uint8 or not readable or not len(videos):
        return
    low, high = (bound.item() for bound in videos.detach().aminmax())
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):
        raise ValueError(
            f"Invalid values in videos (from {low:g} to {high:g}). Floating point "
            "videos must be in [0, 1], without mean and standard deviation; uint8 "
            "videos may be passed as they are."
        )
