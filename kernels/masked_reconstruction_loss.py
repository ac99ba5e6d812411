"""Loss of predicted pixels against the clip itself; no target tensor is handed over.

The op turns predictions and clips into one loss per token. The mean over tokens is left
to plain PyTorch: it touches B * n numbers, gives the weights their gradient for
nothing, and adds up in the same order every time.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lightly_marlin.kernels import reference
from lightly_marlin.kernels.checks import (
    check_choice,
    check_floating,
    check_indices,
    check_range,
    check_same_device,
    check_videos,
)
from lightly_marlin.kernels.dispatch import kernels_are_off
from lightly_marlin.kernels.masked_token_losses import masked_token_losses_op
from lightly_marlin.kernels.triton_language import KERNEL_DEVICES

__all__ = ["LOSSES", "masked_reconstruction_loss"]

LOSSES = ("mse", "l1", "huber")


def masked_reconstruction_loss(
    pred: Tensor,
    videos: Tensor,
    idx_mask: Tensor,
    *,
    tubelet_size: int = 2,
    patch_size: int = 16,
    norm_pix: bool = False,
    loss: str = "mse",
    weights: Tensor | None = None,
) -> Tensor:
    """Mean difference between predicted and true pixels of the masked tokens.

    mean over b, k, p of d(pred[b, k, p] - target[b, k, p]), where target[b, k] holds
    the pixels of token idx_mask[b, k], scaled by 1/255 for uint8 videos. MARLIN takes
    raw pixels and the square [1]; per-token normalisation is MAE's [0]. Everything is
    computed in float32 at least, whatever the dtypes and under autocast too.
    Differentiable once in `pred`, floating-point `videos` and `weights`; double
    backward is not supported.

    - [0]: MAE, 2021, https://arxiv.org/abs/2111.06377
    - [1]: MARLIN, 2023, https://arxiv.org/abs/2211.06627

    Args:
        pred: (B, n, P) floating point, P = C * tubelet_size * patch_size**2 pixels in
            (channel, time, row, column) order. B * n > 0.
        videos: (B, C, T, H, W), uint8 in [0, 255] or floating point in [0, 1], any
            strides.
        idx_mask: (B, n) int64 in [0, N), the tokens that `pred` is about.
        tubelet_size: Frames per tubelet.
        patch_size: Side of a tubelet in pixels.
        norm_pix: Whether each target token is normalised by the mean and the unbiased
            variance (plus 1e-6) of all its P pixels, as MAE does.
        loss: "mse", "l1" or "huber" (delta 1, as `torch.nn.functional.huber_loss`).
        weights: (B, n) floating point >= 0, one per token: the result is then
            sum(weights * token mean) / sum(weights), and 0 if all weights are 0
            (raising would make the host wait for the device).

    Returns:
        Scalar, float32 (float64 if `pred` or `videos` are).

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: If a shape, dtype, device, option or index is not as above (index
            values on CUDA: see `lightly_marlin.kernels.checks`).
    """
    num_tokens = check_videos(videos, tubelet_size=tubelet_size, patch_size=patch_size)
    check_indices(
        "idx_mask",
        idx_mask,
        batch_size=videos.shape[0],
        num_tokens=num_tokens,
        device=videos.device,
    )
    num_pixels = videos.shape[1] * tubelet_size * patch_size**2
    _check_pred(pred, (*idx_mask.shape, num_pixels), videos.device)
    check_choice("loss", loss, LOSSES)
    if weights is not None:
        _check_weights(weights, idx_mask)
    token_losses, _ = masked_token_losses_op(
        pred,
        videos,
        idx_mask,
        tubelet_size,
        patch_size,
        norm_pix,
        loss,
        _derivative(pred, videos),
    )
    return reference.weighted_mean(token_losses, weights)


def _derivative(pred: Tensor, videos: Tensor) -> str:
    """Returns what the op keeps for backward, one of `DERIVATIVES`."""
    if not (torch.is_grad_enabled() and (pred.requires_grad or videos.requires_grad)):
        return "none"
    # The gradient of a mean underflows in float16; without a kernel it costs a pass.
    if pred.dtype == torch.float16 or pred.device.type not in KERNEL_DEVICES:
        return "pixel"
    if not torch.compiler.is_compiling() and kernels_are_off():
        return "pixel"
    return "mean"


def _check_pred(pred: Tensor, shape: tuple[int, ...], device: torch.device) -> None:
    check_floating("pred", pred, ndim=3)
    check_same_device("pred", pred, device)
    if tuple(pred.shape) != shape:
        raise ValueError(
            f"pred must have shape (B, n, P) = {shape}, as idx_mask and videos have "
            f"it, got shape {tuple(pred.shape)}."
        )
    if pred.numel() == 0:
        raise ValueError(
            f"pred must not be empty, got shape {shape}: a mean over no clips or no "
            "masked tokens is undefined. Leave such a batch out."
        )


def _check_weights(weights: Tensor, idx_mask: Tensor) -> None:
    check_floating("weights", weights)
    check_same_device("weights", weights, idx_mask.device)
    if weights.shape != idx_mask.shape:
        raise ValueError(
            f"weights must have shape (B, n) = {tuple(idx_mask.shape)}, "
            f"got shape {tuple(weights.shape)}."
        )
    check_range("weights", weights, low=0, high=math.inf)
