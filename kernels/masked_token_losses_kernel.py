"""Kernel of the losses per token: see `masked_token_losses` for what it serves."""

from __future__ import annotations

from lightly_marlin.kernels.triton_language import jit, tl
from lightly_marlin.kernels.tubelet_pixels import (
    pixel_offsets,
    row_offsets,
    scale_pixels,
    tubelet_origin,
)

__all__ = ["masked_token_losses_kernel"]


@jit
def _pixel_statistics(
    videos_ptr: tl.tensor,  # first pixel of the token
    exists: tl.tensor,  # bool scalar
    stride_c: tl.tensor,
    stride_t: tl.tensor,
    stride_h: tl.tensor,
    stride_w: tl.tensor,
    EPS: tl.constexpr,
    CHANNELS: tl.constexpr,
    AREA: tl.constexpr,
    PATCH: tl.constexpr,
    CHANNEL_BLOCK: tl.constexpr,
    AREA_BLOCK: tl.constexpr,
) -> tl.tensor:
    """Returns mean and inverse standard deviation of a token's pixels, float32."""
    lanes = tl.arange(0, AREA_BLOCK)[None, :]
    total = tl.zeros((CHANNEL_BLOCK, AREA_BLOCK), tl.float32)
    for start in range(0, AREA, AREA_BLOCK):
        for first in tl.static_range(0, CHANNELS, CHANNEL_BLOCK):
            channels = first + tl.arange(0, CHANNEL_BLOCK)[:, None].to(tl.int64)
            pixels = start + lanes
            mask = (channels < CHANNELS) & (pixels < AREA) & exists
            offsets = pixel_offsets(
                channels, pixels, stride_c, stride_t, stride_h, stride_w, PATCH
            )
            total += scale_pixels(tl.load(videos_ptr + offsets, mask=mask, other=0))
    mean = tl.sum(total) / (CHANNELS * AREA)
    # The centred square, not the mean of squares: that would cancel to nothing.
    total = tl.zeros((CHANNEL_BLOCK, AREA_BLOCK), tl.float32)
    for start in range(0, AREA, AREA_BLOCK):
        for first in tl.static_range(0, CHANNELS, CHANNEL_BLOCK):
            channels = first + tl.arange(0, CHANNEL_BLOCK)[:, None].to(tl.int64)
            pixels = start + lanes
            mask = (channels < CHANNELS) & (pixels < AREA) & exists
            offsets = pixel_offsets(
                channels, pixels, stride_c, stride_t, stride_h, stride_w, PATCH
            )
            target = scale_pixels(tl.load(videos_ptr + offsets, mask=mask, other=0))
            total += tl.where(mask, (target - mean) * (target - mean), 0.0)
    variance = tl.sum(total) / (CHANNELS * AREA - 1)
    return mean, 1.0 / tl.sqrt(variance + EPS)


@jit
def _pixel_loss(difference: tl.tensor, LOSS: tl.constexpr) -> tl.tensor:
    """Returns the loss of differences and its derivative (half of it for "mse")."""
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
    return losses, derivative


@jit
def masked_token_losses_kernel(
    pred_ptr: tl.tensor,  # (B, n, P), any strides
    videos_ptr: tl.tensor,  # (B, C, T, H, W), any strides
    idx_ptr: tl.tensor,  # (B, n), any strides
    losses_ptr: tl.tensor,  # (B, n), for motion (B, n, 2), float32, contiguous
    derivative_ptr: tl.tensor,  # (B, n, P), contiguous, or not written
    derivative_scale: tl.tensor,
    num_chosen: tl.tensor,
    num_tokens: tl.tensor,
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
    GRID_H: tl.constexpr,
    GRID_W: tl.constexpr,
    CHANNELS: tl.constexpr,
    TUBELET: tl.constexpr,
    PATCH: tl.constexpr,
    CHANNEL_BLOCK: tl.constexpr,
    AREA_BLOCK: tl.constexpr,
) -> None:
    """Loss and derivative of one token; grid (n, B)."""
    FRAME: tl.constexpr = PATCH * PATCH
    AREA: tl.constexpr = TUBELET * FRAME
    NUM_PIXELS: tl.constexpr = CHANNELS * AREA
    place, clip = tl.program_id(0).to(tl.int64), tl.program_id(1).to(tl.int64)
    row = clip * num_chosen + place
    token = tl.load(idx_ptr + clip * idx_stride_b + place * idx_stride_n)
    exists = (token >= 0) & (token < num_tokens)
    videos_ptr += clip * stride_b + tubelet_origin(
        tl.where(exists, token, 0).to(tl.int32),
        stride_t,
        stride_h,
        stride_w,
        GRID_H,
        GRID_W,
        TUBELET,
        PATCH,
    )
    if DENSE_PRED:
        # Known while compiling, so wide loads for patches of 14 pixels too.
        pred_ptr += row * NUM_PIXELS
    else:
        pred_ptr += clip * pred_stride_b + place * pred_stride_n
    derivative_ptr += row * NUM_PIXELS
    mean = 0.0
    inverse = 1.0
    if NORM_PIX:
        mean, inverse = _pixel_statistics(
            videos_ptr,
            exists,
            stride_c,
            stride_t,
            stride_h,
            stride_w,
            EPS,
            CHANNELS,
            AREA,
            PATCH,
            CHANNEL_BLOCK,
            AREA_BLOCK,
        )
    total = tl.zeros((CHANNEL_BLOCK, AREA_BLOCK), tl.float32)
    moved = tl.zeros((CHANNEL_BLOCK, AREA_BLOCK), tl.float32)
    for start in range(0, AREA, AREA_BLOCK):
        pixels = start + tl.arange(0, AREA_BLOCK)[None, :]
        is_later = pixels >= FRAME
        # All of the clip is read before anything is written: what the statistics have
        # read is then still in registers.
        targets: tl.tuple = ()
        for first in tl.static_range(0, CHANNELS, CHANNEL_BLOCK):
            channels = first + tl.arange(0, CHANNEL_BLOCK)[:, None].to(tl.int64)
            mask = (channels < CHANNELS) & (pixels < AREA) & exists
            offsets = pixel_offsets(
                channels, pixels, stride_c, stride_t, stride_h, stride_w, PATCH
            )
            loaded = tl.load(videos_ptr + offsets, mask=mask, other=0)
            targets = targets + (loaded,)  # noqa: RUF005  (Triton knows no star)
        for first in tl.static_range(0, CHANNELS, CHANNEL_BLOCK):
            channels = first + tl.arange(0, CHANNEL_BLOCK)[:, None].to(tl.int64)
            mask = (channels < CHANNELS) & (pixels < AREA)
            shift = row_offsets(channels, pixels, CHANNELS, AREA, True)
            pred = tl.load(pred_ptr + shift * pred_stride_p, mask=mask, other=0.0)
            target = scale_pixels(targets[first // CHANNEL_BLOCK])
            if TARGET == "motion":
                # The first frame again, now from cache. The mean is in both frames.
                offsets = pixel_offsets(
                    channels, pixels, stride_c, stride_t, stride_h, stride_w, PATCH
                )
                offsets -= (pixels // FRAME).to(tl.int64) * stride_t
                still = tl.load(
                    videos_ptr + offsets, mask=mask & exists & is_later, other=0
                )
                still = tl.where(is_later, scale_pixels(still), mean)
                target = (target - still) * inverse
            elif NORM_PIX:
                target = (target - mean) * inverse
            # An index outside [0, N) gives NaN instead of an out-of-bounds read.
            target = tl.where(exists, target, float("nan"))
            losses, derivative = _pixel_loss(pred.to(tl.float32) - target, LOSS)
            if TARGET == "motion":
                total += tl.where(mask & ~is_later, losses, 0.0)
                moved += tl.where(mask & is_later, losses, 0.0)
            else:
                total += tl.where(mask, losses, 0.0)
            if HAS_DERIVATIVE:
                derivative *= derivative_scale
                derivative = derivative.to(derivative_ptr.dtype.element_ty)
                tl.store(derivative_ptr + shift, derivative, mask=mask)
    if TARGET == "motion":
        tl.store(losses_ptr + 2 * row, tl.sum(total) / (CHANNELS * FRAME))
        moved_mean = tl.sum(moved) / (NUM_PIXELS - CHANNELS * FRAME)
        tl.store(losses_ptr + 2 * row + 1, moved_mean)
    else:
        tl.store(losses_ptr + row, tl.sum(total) / NUM_PIXELS)
