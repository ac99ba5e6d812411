"""Loss per token and its gradient with respect to the prediction, in one pass.

The op under the reconstruction loss. Predictions and clips are read once; the
derivative of the pixel loss is computed in the forward pass and kept, so that backward
only scales it, and does not even touch it where the scale is already in.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from lightly_marlin.kernels import reference
from lightly_marlin.kernels.dispatch import UnservedError, register_kernel
from lightly_marlin.kernels.target_pixels import target_pixels
from lightly_marlin.kernels.tiles import tubelet_tile
from lightly_marlin.kernels.token_losses_backward import backward, setup_context
from lightly_marlin.kernels.triton_language import jit, launch, tl
from lightly_marlin.kernels.tubelet_pixels import (
    load_pixels,
    pixel_offsets,
    row_offsets,
    tubelet_origin,
)

__all__ = ["DERIVATIVES", "launch_masked_token_losses", "masked_token_losses_op"]

DERIVATIVES = ("none", "pixel", "mean")
"""What is kept for backward; see `masked_token_losses_op`."""


@jit
def _masked_token_losses_kernel(
    pred_ptr: tl.tensor,  # (B, n, P), any strides
    videos_ptr: tl.tensor,  # (B, C, T, H, W), any strides
    idx_ptr: tl.tensor,  # (B, n), any strides
    losses_ptr: tl.tensor,  # (B, n), for motion (B, n, 2), float32, contiguous
    derivative_ptr: tl.tensor,  # (B, n, P), contiguous, or not written
    derivative_scale: tl.tensor,
    num_chosen: tl.tensor,
    num_tokens: tl.tensor,
    grid_h: tl.tensor,
    grid_w: tl.tensor,
    pred_stride_b: tl.tensor,
    pred_stride_n: tl.tensor,
    pred_stride_p: tl.tensor,
    stride_b: tl.tensor,
    stride_c: tl.tensor,
    stride_t: tl.tensor,
    stride_h: tl.tensor,
    stride_w: tl.tensor,
    idx_stride_b: tl.tensor,
    idx_stride_n: tl.tensor,
    TARGET: tl.constexpr,
    LOSS: tl.constexpr,
    NORM_PIX: tl.constexpr,
    EPS: tl.constexpr,
    HAS_DERIVATIVE: tl.constexpr,
    DENSE_PRED: tl.constexpr,
    CHANNELS: tl.constexpr,
    TUBELET: tl.constexpr,
    PATCH: tl.constexpr,
    CHANNEL_BLOCK: tl.constexpr,
    AREA_BLOCK: tl.constexpr,
) -> None:
    """Loss and derivative of one token; grid (B * n,)."""
    FRAME: tl.constexpr = PATCH * PATCH
    AREA: tl.constexpr = TUBELET * FRAME
    NUM_PIXELS: tl.constexpr = CHANNELS * AREA
    FIRST_PIXELS: tl.constexpr = CHANNELS * FRAME
    row = tl.program_id(0).to(tl.int64)
    clip, place = row // num_chosen, row % num_chosen
    token = tl.load(idx_ptr + clip * idx_stride_b + place * idx_stride_n)
    exists = (token >= 0) & (token < num_tokens)
    videos_ptr += clip * stride_b + tubelet_origin(
        token, grid_h, grid_w, stride_t, stride_h, stride_w, TUBELET, PATCH
    )
    if DENSE_PRED:
        # Known while compiling, so wide loads for patches of 14 pixels too.
        pred_ptr += row * NUM_PIXELS
    else:
        pred_ptr += clip * pred_stride_b + place * pred_stride_n
    derivative_ptr += row * NUM_PIXELS
    channels = tl.arange(0, CHANNEL_BLOCK)[:, None].to(tl.int64)
    lanes = tl.arange(0, AREA_BLOCK)[None, :]
    mean = 0.0
    inverse = 1.0
    if NORM_PIX:
        total = tl.zeros((CHANNEL_BLOCK, AREA_BLOCK), tl.float32)
        for start in range(0, AREA, AREA_BLOCK):
            pixels = start + lanes
            mask = (channels < CHANNELS) & (pixels < AREA) & exists
            offsets = pixel_offsets(
                channels, pixels, stride_c, stride_t, stride_h, stride_w, PATCH
            )
            total += load_pixels(videos_ptr + offsets, mask)
        mean = tl.sum(total) / NUM_PIXELS
        # The centred square, not the mean of squares: that would cancel to nothing.
        total = tl.zeros((CHANNEL_BLOCK, AREA_BLOCK), tl.float32)
        for start in range(0, AREA, AREA_BLOCK):
            pixels = start + lanes
            mask = (channels < CHANNELS) & (pixels < AREA) & exists
            offsets = pixel_offsets(
                channels, pixels, stride_c, stride_t, stride_h, stride_w, PATCH
            )
            centred = load_pixels(videos_ptr + offsets, mask) - mean
            total += tl.where(mask, centred * centred, 0.0)
        inverse = 1.0 / tl.sqrt(tl.sum(total) / (NUM_PIXELS - 1) + EPS)
    total = tl.zeros((CHANNEL_BLOCK, AREA_BLOCK), tl.float32)
    if TARGET == "motion":
        moved = tl.zeros((CHANNEL_BLOCK, AREA_BLOCK), tl.float32)
    for start in range(0, AREA, AREA_BLOCK):
        pixels = start + lanes
        mask = (channels < CHANNELS) & (pixels < AREA)
        offsets = pixel_offsets(
            channels, pixels, stride_c, stride_t, stride_h, stride_w, PATCH
        )
        shift = row_offsets(channels, pixels, CHANNELS, AREA, True)
        # First what does not wait for the index.
        pred = tl.load(pred_ptr + shift * pred_stride_p, mask=mask, other=0.0)
        target = load_pixels(videos_ptr + offsets, mask & exists)
        if TARGET == "motion":
            # The first frame again, this time from cache. The mean is in both frames.
            offsets -= (pixels // FRAME).to(tl.int64) * stride_t
            is_later = pixels >= FRAME
            first = load_pixels(videos_ptr + offsets, mask & exists & is_later)
            target = (target - tl.where(is_later, first, mean)) * inverse
        elif NORM_PIX:
            target = (target - mean) * inverse
        # An index outside [0, N) gives NaN instead of an out-of-bounds read.
        target = tl.where(exists, target, float("nan"))
        difference = pred.to(tl.float32) - target
        if LOSS == "mse":
            losses = difference * difference
            derivative = difference
        elif LOSS == "l1":
            losses = tl.abs(difference)
            derivative = tl.where(difference < 0, -1.0, difference)
            derivative = tl.where(difference > 0, 1.0, derivative)
        else:
            size = tl.abs(difference)
            losses = tl.where(size <= 1.0, 0.5 * difference * difference, size - 0.5)
            derivative = tl.where(difference < -1.0, -1.0, difference)
            derivative = tl.where(difference > 1.0, 1.0, derivative)
        if TARGET == "motion":
            total += tl.where(mask & (pixels < FRAME), losses, 0.0)
            moved += tl.where(mask & (pixels >= FRAME), losses, 0.0)
        else:
            total += tl.where(mask, losses, 0.0)
        if HAS_DERIVATIVE:
            derivative = (derivative * derivative_scale).to(
                derivative_ptr.dtype.element_ty
            )
            tl.store(derivative_ptr + shift, derivative, mask=mask)
    if TARGET == "motion":
        tl.store(losses_ptr + 2 * row, tl.sum(total) / FIRST_PIXELS)
        moved_mean = tl.sum(moved) / (NUM_PIXELS - FIRST_PIXELS)
        tl.store(losses_ptr + 2 * row + 1, moved_mean)
    else:
        tl.store(losses_ptr + row, tl.sum(total) / NUM_PIXELS)


def launch_masked_token_losses(
    pred: Tensor,
    videos: Tensor,
    idx_mask: Tensor,
    tubelet_size: int,
    patch_size: int,
    norm_pix: bool,
    loss: str,
    derivative: str,
    target: str = "pixels",
) -> tuple[Tensor, Tensor]:
    """Runs the kernel; arguments and results as those of `masked_token_losses_op`."""
    channels, frames, height, width = videos.shape[1:]
    tile = tubelet_tile(channels, tubelet_size * patch_size**2)
    if tile is None:
        raise UnservedError(f"no kernel takes {channels} channels")
    grid = (frames // tubelet_size, height // patch_size, width // patch_size)
    token_losses = torch.empty(
        _losses_shape(idx_mask, target), dtype=torch.float32, device=pred.device
    )
    has_derivative = derivative != "none"
    derivatives = torch.empty(
        pred.shape if has_derivative else 0, dtype=pred.dtype, device=pred.device
    )
    launch(
        _masked_token_losses_kernel,
        (idx_mask.numel(),),
        pred,
        videos,
        idx_mask,
        token_losses,
        derivatives if has_derivative else token_losses,
        _derivative_scale(derivative, loss, pred),
        idx_mask.shape[1],
        grid[0] * grid[1] * grid[2],
        *grid[1:],
        *pred.stride(),
        *videos.stride(),
        *idx_mask.stride(),
        TARGET=target,
        LOSS=loss,
        NORM_PIX=norm_pix,
        EPS=reference.NORM_PIX_EPS,
        HAS_DERIVATIVE=has_derivative,
        DENSE_PRED=pred.is_contiguous(),
        CHANNELS=channels,
        TUBELET=tubelet_size,
        PATCH=patch_size,
        CHANNEL_BLOCK=tile.channels,
        AREA_BLOCK=tile.area,
        num_warps=tile.num_warps,
    )
    return token_losses, derivatives


def _masked_token_losses(
    pred: Tensor,
    videos: Tensor,
    idx_mask: Tensor,
    tubelet_size: int,
    patch_size: int,
    norm_pix: bool,
    loss: str,
    derivative: str,
    target: str = "pixels",
) -> tuple[Tensor, Tensor]:
    """Compares predictions with the pixels of their tokens.

    Args:
        pred: (B, n, P) floating point.
        videos: (B, C, T, H, W).
        idx_mask: (B, n) int64.
        tubelet_size: Frames per tubelet.
        patch_size: Side of a tubelet in pixels.
        norm_pix: Whether targets are normalised per token.
        loss: "mse", "l1" or "huber".
        derivative: "none" if no backward will come, which saves its memory; "pixel"
            for the derivative of the pixel loss (half of it for "mse": the difference
            itself), which does not underflow in float16; "mean" for the derivative of
            the mean over everything, which is the gradient itself if nothing scales
            the loss.
        target: "pixels", or "motion": the first frame of each token, and the later
            frames minus the first.

    Returns:
        Mean loss of each token (B, n), float32 or float64, for "motion" (B, n, 2): of
        its first frame and of its differences. And the derivative (B, n, P) of the
        dtype of `pred`, empty for "none".
    """
    pixels = target_pixels(
        videos,
        idx_mask,
        tubelet_size,
        patch_size,
        norm_pix=norm_pix,
        target=target,
        dtype=reference.loss_dtype(pred, videos),
    )
    # The target's memory becomes the difference, and that the derivative.
    difference = torch.sub(pred, pixels, out=pixels)
    if target == "motion":
        parts = reference.split_frames(difference, tubelet_size, patch_size)
        token_losses = torch.stack([_mean_losses(part, loss) for part in parts], dim=-1)
    else:
        token_losses = _mean_losses(difference, loss)
    if derivative == "none":
        return token_losses, pred.new_empty(0)
    if loss == "l1":
        difference.sign_()
    elif loss == "huber":
        difference.clamp_(-1, 1)
    if derivative == "mean":
        difference.mul_(_derivative_scale(derivative, loss, pred))
    return token_losses, difference.to(pred.dtype)


masked_token_losses_op = torch.library.custom_op(
    "lightly_marlin::masked_token_losses", _masked_token_losses, mutates_args=()
)
register_kernel(
    masked_token_losses_op, launch_masked_token_losses, _masked_token_losses
)


@masked_token_losses_op.register_fake
def _fake(
    pred: Tensor,
    videos: Tensor,
    idx_mask: Tensor,
    tubelet_size: int,
    patch_size: int,
    norm_pix: bool,
    loss: str,
    derivative: str,
    target: str = "pixels",
) -> tuple[Tensor, Tensor]:
    dtype = reference.loss_dtype(pred, videos)
    # As the bodies allocate it: dense, whatever the strides of the predictions.
    derivatives = pred.new_empty(0 if derivative == "none" else pred.shape)
    return pred.new_empty(_losses_shape(idx_mask, target), dtype=dtype), derivatives


masked_token_losses_op.register_autograd(backward, setup_context=setup_context)


def _derivative_scale(derivative: str, loss: str, pred: Tensor) -> float:
    """Returns the factor that the derivative is kept with."""
    return (2 if loss == "mse" else 1) / pred.numel() if derivative == "mean" else 1.0


def _losses_shape(idx_mask: Tensor, target: str) -> tuple[int, ...]:
    """Returns the shape of the losses: one for each token, or for each of its parts."""
    return (*idx_mask.shape, 2) if target == "motion" else tuple(idx_mask.shape)


def _mean_losses(difference: Tensor, loss: str) -> Tensor:
    """Returns the mean pixel loss (B, n) of differences (B, n, ...)."""
    dim = tuple(range(2, difference.ndim))
    num_pixels = math.prod(difference.shape[2:])
    if loss in ("mse", "l1"):
        order = 1 if loss == "l1" else 2
        # A norm reads once and writes nothing; a square would be another (B, n, P).
        norm: Tensor = torch.linalg.vector_norm(difference, ord=order, dim=dim)
        return norm**order / num_pixels
    zero = difference.new_zeros(()).expand_as(difference)
    return F.huber_loss(difference, zero, reduction="none").mean(dim=dim)
