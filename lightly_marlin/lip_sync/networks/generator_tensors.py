"""Tensors of generators: what they see and hear, frames as a batch, and pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from lightly_marlin.kernels.checks import check_range
from lightly_marlin.lip_sync.networks.lower_half import mask_lower_half
from lightly_marlin.lip_sync.sound_windows import MEL_BANDS, mel_steps

__all__ = [
    "MEL_STEPS",
    "PICTURE_CHANNELS",
    "batch_as_clips",
    "frames_as_batch",
    "join_pictures",
    "pixels_of",
]

MEL_STEPS = mel_steps(5)
"""Steps of the window of sound that a generator hears for each frame."""

PICTURE_CHANNELS = 6
"""Channels of the masked target and the reference frame."""


def join_pictures(
    masked: Tensor,
    reference: Tensor,
    mel: Tensor,
    num_frames: int | None,
    dtype: torch.dtype,
) -> Tensor:
    """Checks the inputs of a generator and joins its pictures.

    The lower half of the target is masked again: a generator must never see the mouth
    that it has to draw, whatever its caller forgets.

    Args:
        masked: Target crops (B, 3, T, H, W), lower half masked, uint8 in [0, 255] or
            floating point in [0, 1].
        reference: Crops of another moment, of the same shape and dtype.
        mel: Windows of sound (B, T, 1, 80, 16), floating point.
        num_frames: The T that is supported; None for any.
        dtype: Floating-point dtype of the result.

    Returns:
        Tensor (B, 6, T, H, W) in [0, 1]: masked, then reference.

    Raises:
        ValueError: If a shape, dtype or range is not allowed.
    """
    pictures = masked, reference
    frames = "T" if num_frames is None else str(num_frames)
    for name, videos in zip(("masked", "reference"), pictures, strict=True):
        fits = videos.ndim == 5 and videos.shape[1] == 3 and videos.shape[2] > 0
        if not fits or num_frames not in (None, videos.shape[2]):
            raise ValueError(
                f"Invalid shape of {name} {tuple(videos.shape)}. Supported is "
                f"(B, 3, {frames}, H, W)."
            )
        if videos.dtype != torch.uint8 and not videos.is_floating_point():
            raise ValueError(
                f"Invalid dtype of {name} ({videos.dtype}). Supported are torch.uint8 "
                "in [0, 255] and floating point in [0, 1]."
            )
        if videos.is_floating_point():
            check_range(name, videos, low=0, high=1, slack=1e-2)
    if masked.shape != reference.shape or masked.dtype != reference.dtype:
        raise ValueError(
            "masked and reference must have the same shape and dtype, got "
            f"{tuple(masked.shape)}, {masked.dtype} and {tuple(reference.shape)}, "
            f"{reference.dtype}."
        )
    shape = len(masked), masked.shape[2], 1, MEL_BANDS, MEL_STEPS
    if mel.shape != shape or not mel.is_floating_point():
        raise ValueError(
            f"Invalid mel of shape {tuple(mel.shape)} and {mel.dtype}. Supported is "
            f"floating point, (B, T, 1, {MEL_BANDS}, {MEL_STEPS}) = {shape}."
        )
    joined = torch.cat([mask_lower_half(masked), reference], dim=1).to(dtype)
    return joined / 255 if masked.dtype == torch.uint8 else joined


def frames_as_batch(videos: Tensor) -> Tensor:
    """Returns clips (B, C, T, H, W) as frames (B T, C, H, W), those of a clip in a row.

    Args:
        videos: Clips (B, C, T, H, W).
    """
    return videos.transpose(1, 2).flatten(0, 1)


def batch_as_clips(frames: Tensor, num_frames: int) -> Tensor:
    """Undoes `frames_as_batch`.

    Args:
        frames: Frames (B T, C, H, W).
        num_frames: T.

    Returns:
        Clips (B, C, T, H, W).
    """
    shape = len(frames) // num_frames, num_frames, *frames.shape[1:]
    return frames.reshape(shape).transpose(1, 2)


def pixels_of(logits: Tensor) -> Tensor:
    """Returns the sigmoid, in float32 at least, even under autocast.

    Args:
        logits: Floating-point tensor (...).
    """
    dtype = torch.promote_types(logits.dtype, torch.float32)
    return logits.to(dtype).sigmoid()
