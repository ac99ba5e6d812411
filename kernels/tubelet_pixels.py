"""Addresses of a tubelet's pixels, shared by all kernels that read clips."""

from __future__ import annotations

from lightly_marlin.kernels.triton_language import jit, tl

__all__ = ["pixel_offsets", "row_offsets", "scale_pixels", "tubelet_origin"]


@jit
def tubelet_origin(
    token: tl.tensor,  # int32 scalar in [0, N)
    stride_t: tl.tensor,
    stride_h: tl.tensor,
    stride_w: tl.tensor,
    GRID_H: tl.constexpr,
    GRID_W: tl.constexpr,
    TUBELET: tl.constexpr,
    PATCH: tl.constexpr,
) -> tl.tensor:
    """Returns the offset of the first pixel of a token in its clip, int64."""
    # Divided in 32 bits by constants, which is cheap, and multiplied in 64.
    t = (token // (GRID_H * GRID_W)).to(tl.int64)
    h = (token // GRID_W % GRID_H).to(tl.int64)
    w = (token % GRID_W).to(tl.int64)
    return t * TUBELET * stride_t + h * PATCH * stride_h + w * PATCH * stride_w


@jit
def pixel_offsets(
    channels: tl.tensor,  # (C, 1) int64
    pixels: tl.tensor,  # (1, A) int32, places in a channel in (time, row, column) order
    stride_c: tl.tensor,
    stride_t: tl.tensor,
    stride_h: tl.tensor,
    stride_w: tl.tensor,
    PATCH: tl.constexpr,
) -> tl.tensor:
    """Returns the offsets (C, A) of pixels from the first pixel of their token."""
    # Divided in 32 bits, which is cheap, and multiplied in 64, which is safe.
    t = (pixels // (PATCH * PATCH)).to(tl.int64)
    h = (pixels // PATCH % PATCH).to(tl.int64)
    w = (pixels % PATCH).to(tl.int64)
    return channels * stride_c + (t * stride_t + h * stride_h + w * stride_w)


@jit
def scale_pixels(pixels: tl.tensor) -> tl.tensor:
    """Returns pixels as float32, uint8 scaled by 1/255 as in the reference."""
    if pixels.dtype == tl.uint8:
        return pixels.to(tl.float32) * (1 / 255)
    else:  # noqa: RET505  (Triton allows one return of a type only)
        return pixels.to(tl.float32)


@jit
def row_offsets(
    channels: tl.tensor,  # (C, 1) int64
    pixels: tl.tensor,  # (1, A) int32
    CHANNELS: tl.constexpr,
    AREA: tl.constexpr,
    CHANNELS_FIRST: tl.constexpr,
) -> tl.tensor:
    """Returns the places (C, A) of pixels in a row of P pixels, int64."""
    if CHANNELS_FIRST:
        return channels * AREA + pixels.to(tl.int64)
    else:  # noqa: RET505
        return pixels.to(tl.int64) * CHANNELS + channels
