"""Pixels that predictions stand for, when a loss compares something else.

Discriminators and pictures take pixels in [0, 1]; models trained on normalised pixels
or on motion predict others.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lightly_marlin.kernels import gather_tubelets
from lightly_marlin.kernels.checks import check_motion_target, check_pred
from lightly_marlin.kernels.reference import NORM_PIX_EPS, loss_dtype, split_frames

__all__ = ["denormalize_pixels", "motion_to_pixels"]


def motion_to_pixels(
    pred: Tensor,
    videos: Tensor,
    idx_mask: Tensor,
    *,
    tubelet_size: int = 2,
    patch_size: int = 16,
    norm_pix: bool = False,
) -> Tensor:
    """Adds the predicted first frame of each token to its predicted differences.

    The inverse of the motion target of `masked_motion_losses`. Give its result, not the
    prediction, to a discriminator of pixels, which would otherwise learn to tell the
    order of frames and differences, and to `paste_tubelets`. Differentiable in `pred`.

    Args:
        pred: (B, n, P) floating point in (channel, time, row, column) order: first
            frames, and the differences of later frames to them.
        videos: (B, C, T, H, W), uint8 in [0, 255] or floating point in [0, 1].
        idx_mask: (B, n) int64 in [0, N), the tokens of `pred`.
        tubelet_size: Frames per token, at least 2.
        patch_size: Side of a token in pixels.
        norm_pix: Whether the prediction is of normalised pixels; they are then scaled
            back by `denormalize_pixels`.

    Returns:
        (B, n, P) of the dtype of `pred`, unbounded; pixels lie in [0, 1].

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: If a shape, dtype, device or index is invalid.
    """
    check_motion_target(tubelet_size, motion_weight=0)
    sizes = {"tubelet_size": tubelet_size, "patch_size": patch_size}
    check_pred(pred, videos, idx_mask, **sizes)
    first, later = split_frames(pred, **sizes)
    pixels = torch.cat([first, first + later], dim=-2).flatten(2)
    if norm_pix:
        return denormalize_pixels(pixels, videos, idx_mask, **sizes)
    return pixels


def denormalize_pixels(
    pred: Tensor,
    videos: Tensor,
    idx_mask: Tensor,
    *,
    tubelet_size: int = 2,
    patch_size: int = 16,
) -> Tensor:
    """Scales predictions of normalised pixels by the true mean and deviation.

    Both are those of the token in the clip, as in the pictures of MAE [0]: a prediction
    of normalised pixels holds neither. Differentiable in `pred`.

    - [0]: MAE, 2021, https://arxiv.org/abs/2111.06377

    Args:
        pred: (B, n, P) floating point, normalised pixels.
        videos: (B, C, T, H, W), uint8 in [0, 255] or floating point in [0, 1].
        idx_mask: (B, n) int64 in [0, N), the tokens of `pred`.
        tubelet_size: Frames per token.
        patch_size: Side of a token in pixels.

    Returns:
        (B, n, P) of the dtype of `pred`, unbounded; pixels lie in [0, 1].

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: If a shape, dtype, device or index is invalid.
    """
    check_pred(pred, videos, idx_mask, tubelet_size=tubelet_size, patch_size=patch_size)
    dtype = loss_dtype(pred, videos)
    pixels = gather_tubelets(
        videos.detach(),
        idx_mask,
        tubelet_size=tubelet_size,
        patch_size=patch_size,
        dtype=dtype,
    )
    variance, mean = torch.var_mean(pixels, dim=-1, keepdim=True)
    std = (variance + NORM_PIX_EPS).sqrt()
    return (pred.to(dtype) * std + mean).to(pred.dtype)
