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
    check_motion_target,
    check_pred,
    check_range,
    check_same_device,
)
from lightly_marlin.kernels.dispatch import kernels_are_off
from lightly_marlin.kernels.masked_token_losses import masked_token_losses_op
from lightly_marlin.kernels.op_calls import call_op
from lightly_marlin.kernels.triton_language import KERNEL_DEVICES

__all__ = ["LOSSES", "TARGETS", "masked_motion_losses", "masked_reconstruction_loss"]

LOSSES = ("mse", "l1", "huber")

TARGETS = ("pixels", "motion")
"""The true pixels of a token, or its first frame and the differences to it."""


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
    target: str = "pixels",
    motion_weight: float = 0.5,
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
        target: "pixels", or "motion" for the target of `masked_motion_losses`.
        motion_weight: Weight w in [0, 1] for "motion": the result is (1 - w) times the
            loss of the first frames plus w times that of the motion. For tubelets of
            two frames, 0.5 is the plain mean over all pixels.

    Returns:
        Scalar, float32 (float64 if `pred` or `videos` are).

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: If a shape, dtype, device, option or index is not as above (index
            values on CUDA: see `lightly_marlin.kernels.checks`).
    """
    check_choice("target", target, TARGETS)
    if target == "motion":
        check_motion_target(tubelet_size, motion_weight)
    token_losses = _token_losses(
        pred,
        videos,
        idx_mask,
        weights,
        tubelet_size=tubelet_size,
        patch_size=patch_size,
        norm_pix=norm_pix,
        loss=loss,
        target=target,
    )
    if target == "pixels":
        return reference.weighted_mean(token_losses, weights)
    first_frame, motion = _part_means(token_losses, weights)
    return (1 - motion_weight) * first_frame + motion_weight * motion


def masked_motion_losses(
    pred: Tensor,
    videos: Tensor,
    idx_mask: Tensor,
    *,
    tubelet_size: int = 2,
    patch_size: int = 16,
    norm_pix: bool = False,
    loss: str = "mse",
    weights: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Losses of the two parts of the motion target, each a mean of its own.

    Of every masked token, `pred` holds the first frame x_0 and, for every later frame,
    the difference x_t - x_0 [0]. With `norm_pix` both are divided by the standard
    deviation of the token, and the first frame is centred before; [0] normalises each
    colour channel by itself, this all channels of a token together, as MAE does. Both
    losses come from one pass over predictions and clips.

    - [0]: MAE-DFER, 2023, https://arxiv.org/abs/2307.02227

    Args:
        pred: As in `masked_reconstruction_loss`.
        videos: As in `masked_reconstruction_loss`.
        idx_mask: As in `masked_reconstruction_loss`.
        tubelet_size: Frames per tubelet, at least 2.
        patch_size: Side of a tubelet in pixels.
        norm_pix: As in `masked_reconstruction_loss`.
        loss: As in `masked_reconstruction_loss`.
        weights: As in `masked_reconstruction_loss`.

    Returns:
        Two scalars, float32 (float64 if `pred` or `videos` are): the mean over the
        pixels of the first frames, and the mean over the differences. Differentiable
        as `masked_reconstruction_loss` is.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: As `masked_reconstruction_loss`.
    """
    check_motion_target(tubelet_size, motion_weight=0)
    token_losses = _token_losses(
        pred,
        videos,
        idx_mask,
        weights,
        tubelet_size=tubelet_size,
        patch_size=patch_size,
        norm_pix=norm_pix,
        loss=loss,
        target="motion",
    )
    return _part_means(token_losses, weights)


def _token_losses(
    pred: Tensor,
    videos: Tensor,
    idx_mask: Tensor,
    weights: Tensor | None,
    *,
    tubelet_size: int,
    patch_size: int,
    norm_pix: bool,
    loss: str,
    target: str,
) -> Tensor:
    """Checks the arguments; returns losses (B, n), for "motion" (B, n, 2)."""
    sizes = {"tubelet_size": tubelet_size, "patch_size": patch_size}
    check_pred(pred, videos, idx_mask, **sizes)
    check_choice("loss", loss, LOSSES)
    if weights is not None:
        _check_weights(weights, idx_mask)
    token_losses: Tensor
    token_losses, _ = call_op(
        masked_token_losses_op,
        pred,
        videos,
        idx_mask,
        tubelet_size,
        patch_size,
        norm_pix,
        loss,
        _derivative(pred, videos),
        target,
    )
    return token_losses


def _part_means(token_losses: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """Returns the means of the first frames and of the motion, of losses (B, n, 2)."""
    first_frame, motion = token_losses.unbind(-1)
    return (
        reference.weighted_mean(first_frame, weights),
        reference.weighted_mean(motion, weights),
    )


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


def _check_weights(weights: Tensor, idx_mask: Tensor) -> None:
    check_floating("weights", weights)
    check_same_device("weights", weights, idx_mask.device)
    if weights.shape != idx_mask.shape:
        raise ValueError(
            f"weights must have shape (B, n) = {tuple(idx_mask.shape)}, "
            f"got shape {tuple(weights.shape)}."
        )
    check_range("weights", weights, low=0, high=math.inf)
