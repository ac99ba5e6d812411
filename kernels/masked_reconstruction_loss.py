"""Loss of predicted pixels against the clip itself; no target tensor is handed over.

The op turns predictions and clips into one loss per token, and on the way keeps the
slope of the pixel loss, so that backward only scales it. The mean over tokens is left
to plain PyTorch: it touches B * n numbers, gives the weights their gradient for
nothing, and adds up in the same order every time.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from lightly_marlin.kernels import reference
from lightly_marlin.kernels.checks import (
    check_choice,
    check_floating,
    check_indices,
    check_range,
    check_same_device,
    check_videos,
)
from lightly_marlin.kernels.scatter import scatter_tubelets

__all__ = ["LOSSES", "masked_reconstruction_loss"]

LOSSES = ("mse", "l1", "huber")


@torch.library.custom_op("lightly_marlin::masked_token_losses", mutates_args=())
def masked_token_losses_op(
    pred: Tensor,
    videos: Tensor,
    idx_mask: Tensor,
    tubelet_size: int,
    patch_size: int,
    norm_pix: bool,
    loss: str,
    with_slope: bool,
) -> tuple[Tensor, Tensor]:
    """Default body; a CUDA one goes beside it with `register_kernel("cuda")`.

    Args:
        pred: (B, n, P) floating point.
        videos: (B, C, T, H, W).
        idx_mask: (B, n) int64.
        tubelet_size: Frames per tubelet.
        patch_size: Side of a tubelet in pixels.
        norm_pix: Whether targets are normalised per token.
        loss: One of `LOSSES`.
        with_slope: Whether backward will come; False saves the slope's memory.

    Returns:
        Mean loss of each token (B, n), float32 or float64, and the slope (B, n, P) of
        the dtype of `pred` (empty without `with_slope`): the derivative of the pixel
        loss, but half of it for "mse", whose slope is then the difference itself. It
        is not divided by the number of pixels, so it does not underflow in float16.
    """
    target = _target(
        videos,
        idx_mask,
        tubelet_size,
        patch_size,
        norm_pix=norm_pix,
        dtype=reference.loss_dtype(pred, videos),
    )
    # The target's memory becomes the difference, and that the slope.
    difference = torch.sub(pred, target, out=target)
    token_losses = _token_losses(difference, loss)
    if not with_slope:
        return token_losses, pred.new_empty(0)
    if loss == "l1":
        difference.sign_()
    elif loss == "huber":
        difference.clamp_(-1, 1)
    return token_losses, difference.to(pred.dtype)


@masked_token_losses_op.register_fake
def _fake(
    pred: Tensor,
    videos: Tensor,
    idx_mask: Tensor,
    tubelet_size: int,
    patch_size: int,
    norm_pix: bool,
    loss: str,
    with_slope: bool,
) -> tuple[Tensor, Tensor]:
    dtype = reference.loss_dtype(pred, videos)
    slope = pred.new_empty(pred.shape) if with_slope else pred.new_empty(0)
    return pred.new_empty(idx_mask.shape, dtype=dtype), slope


def _setup_context(
    ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]
) -> None:
    pred, videos, idx_mask, *sizes, ctx.norm_pix, ctx.loss, _ = inputs
    ctx.tubelet_size, ctx.patch_size = sizes
    ctx.shape, ctx.dtypes = videos.shape, (pred.dtype, videos.dtype)
    ctx.mark_non_differentiable(output[1])
    # Zeros for the slope's absent gradient would cost as much as the slope.
    ctx.set_materialize_grads(False)
    needs_target = ctx.norm_pix and ctx.needs_input_grad[1]
    ctx.save_for_backward(idx_mask, output[1], videos if needs_target else None)


@once_differentiable
def _backward(ctx: Any, grad: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
    if grad is None:
        return (None,) * 8
    idx_mask, slope, videos = ctx.saved_tensors
    scale = grad * ((2 if ctx.loss == "mse" else 1) / slope.shape[-1])
    grad_pixels = slope * scale.unsqueeze(-1)
    grad_pred = grad_videos = None
    if ctx.needs_input_grad[0]:
        grad_pred = grad_pixels.to(ctx.dtypes[0])
    if ctx.needs_input_grad[1]:
        grad_target = -grad_pixels
        sizes = (ctx.tubelet_size, ctx.patch_size)
        if ctx.norm_pix:
            target = _target(
                videos, idx_mask, *sizes, norm_pix=False, dtype=grad_target.dtype
            )
            grad_target = _normalize_pixels_backward(grad_target, target)
        grad_videos = scatter_tubelets(
            grad_target,
            idx_mask,
            shape=ctx.shape,
            tubelet_size=ctx.tubelet_size,
            patch_size=ctx.patch_size,
        ).to(ctx.dtypes[1])
    return grad_pred, grad_videos, *[None] * 6


masked_token_losses_op.register_autograd(_backward, setup_context=_setup_context)


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
        torch.is_grad_enabled() and (pred.requires_grad or videos.requires_grad),
    )
    return reference.weighted_mean(token_losses, weights)


def _check_pred(pred: Tensor, shape: tuple[int, ...], device: torch.device) -> None:
    check_floating("pred", pred, ndim=3)
    check_same_device("pred", pred, device)
    if tuple(pred.shape) != shape or pred.numel() == 0:
        raise ValueError(
            f"pred must have shape (B, n, P) = {shape}, as idx_mask and videos have "
            f"it, and not be empty, got shape {tuple(pred.shape)}."
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


def _target(
    videos: Tensor,
    idx_mask: Tensor,
    tubelet_size: int,
    patch_size: int,
    *,
    norm_pix: bool,
    dtype: torch.dtype,
) -> Tensor:
    """Returns the true pixels (B, n, P) of `dtype`, in memory of their own."""
    target = reference.gather_tubelets(
        videos,
        idx_mask,
        tubelet_size=tubelet_size,
        patch_size=patch_size,
        dtype=dtype,
    )
    return (reference.normalize_pixels(target) if norm_pix else target).contiguous()


def _token_losses(difference: Tensor, loss: str) -> Tensor:
    """Returns the mean pixel loss (B, n) of differences (B, n, P)."""
    num_pixels = difference.shape[-1]
    if loss in ("mse", "l1"):
        order = 1 if loss == "l1" else 2
        # A norm reads once and writes nothing; a square would be another (B, n, P).
        norm: Tensor = torch.linalg.vector_norm(difference, ord=order, dim=-1)
        return norm**order / num_pixels
    zero = difference.new_zeros(()).expand_as(difference)
    return F.huber_loss(difference, zero, reduction="none").mean(dim=-1)


def _normalize_pixels_backward(grad: Tensor, pixels: Tensor) -> Tensor:
    """Gradient of `reference.normalize_pixels` at `pixels`, all (B, n, P)."""
    scale = pixels.shape[-1] - 1
    centred = pixels - pixels.mean(dim=-1, keepdim=True)
    variance = centred.square().sum(dim=-1, keepdim=True) / scale
    inverse = (variance + reference.NORM_PIX_EPS).rsqrt()
    normed = centred * inverse
    along = (grad * normed).sum(dim=-1, keepdim=True) / scale
    return (grad - grad.mean(dim=-1, keepdim=True) - normed * along) * inverse
