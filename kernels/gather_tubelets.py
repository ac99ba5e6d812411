"""Gather of tubelets from clips: what a masked video encoder embeds.

Embedding is linear, so gathering the visible tubelets first is the same mathematics
for the visible share of the work, and uint8 clips are scaled on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lightly_marlin.kernels import reference
from lightly_marlin.kernels.checks import (
    check_choice,
    check_indices,
    check_same_device,
    check_videos,
)
from lightly_marlin.kernels.dispatch import (
    UnservedError,
    register_kernel,
    require_dtype,
    require_tokens,
)
from lightly_marlin.kernels.op_calls import call_op, register_gradient
from lightly_marlin.kernels.scatter_tubelets import scatter_tubelets_op
from lightly_marlin.kernels.tiles import tubelet_tile
from lightly_marlin.kernels.triton_language import jit, launch, tl
from lightly_marlin.kernels.tubelet_pixels import (
    pixel_offsets,
    row_offsets,
    scale_pixels,
    tubelet_origin,
)

__all__ = ["gather_tubelets", "launch_gather_tubelets"]

_LAYOUTS = ("c t h w", "t h w c")


@jit
def _gather_tubelets_kernel(
    videos_ptr: tl.tensor,  # (B, C, T, H, W), any strides
    idx_ptr: tl.tensor,  # (B, n), any strides
    mean_ptr: tl.tensor,  # (C,) float32, contiguous; not read without HAS_MEAN
    std_ptr: tl.tensor,  # (C,) float32, contiguous; not read without HAS_STD
    out_ptr: tl.tensor,  # (B, n, P), contiguous
    num_chosen: tl.tensor,
    num_tokens: tl.tensor,
    stride_b: tl.tensor,
    stride_c: tl.tensor,
    stride_t: tl.tensor,
    stride_h: tl.tensor,
    stride_w: tl.tensor,
    idx_stride_b: tl.tensor,
    idx_stride_n: tl.tensor,
    HAS_MEAN: tl.constexpr,
    HAS_STD: tl.constexpr,
    GRID_H: tl.constexpr,
    GRID_W: tl.constexpr,
    CHANNELS: tl.constexpr,
    TUBELET: tl.constexpr,
    PATCH: tl.constexpr,
    CHANNELS_FIRST: tl.constexpr,
    CHANNEL_BLOCK: tl.constexpr,
    AREA_BLOCK: tl.constexpr,
) -> None:
    """Copies AREA_BLOCK pixels of all channels of a token; grid (n, B, blocks)."""
    AREA: tl.constexpr = TUBELET * PATCH * PATCH
    place, clip = tl.program_id(0).to(tl.int64), tl.program_id(1).to(tl.int64)
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
    out_ptr += (clip * num_chosen + place) * (CHANNELS * AREA)
    pixels = tl.program_id(2) * AREA_BLOCK + tl.arange(0, AREA_BLOCK)[None, :]
    for first in tl.static_range(0, CHANNELS, CHANNEL_BLOCK):
        channels = first + tl.arange(0, CHANNEL_BLOCK)[:, None].to(tl.int64)
        mask = (channels < CHANNELS) & (pixels < AREA)
        offsets = pixel_offsets(
            channels, pixels, stride_c, stride_t, stride_h, stride_w, PATCH
        )
        values = tl.load(videos_ptr + offsets, mask=mask & exists, other=0)
        values = scale_pixels(values)
        if HAS_MEAN:
            values -= tl.load(mean_ptr + channels, mask=channels < CHANNELS, other=0.0)
        if HAS_STD:
            values /= tl.load(std_ptr + channels, mask=channels < CHANNELS, other=1.0)
        # An index outside [0, N) gives NaN instead of an out-of-bounds read.
        values = tl.where(exists, values, float("nan"))
        shift = row_offsets(channels, pixels, CHANNELS, AREA, CHANNELS_FIRST)
        tl.store(out_ptr + shift, values.to(out_ptr.dtype.element_ty), mask=mask)


def launch_gather_tubelets(
    videos: Tensor,
    idx: Tensor,
    mean: Tensor | None,
    std: Tensor | None,
    tubelet_size: int,
    patch_size: int,
    dtype: torch.dtype,
    layout: str,
) -> Tensor:
    """Runs the kernel; arguments and result as those of the public function."""
    channels, frames, height, width = videos.shape[1:]
    area = tubelet_size * patch_size**2
    tile = tubelet_tile(channels, area)
    if tile is None:
        raise UnservedError(f"no kernel takes {channels} channels")
    require_dtype(dtype)
    grid = (frames // tubelet_size, height // patch_size, width // patch_size)
    batch_size, num_chosen = idx.shape
    num_tokens = grid[0] * grid[1] * grid[2]
    require_tokens(batch_size, num_tokens)
    out = torch.empty((*idx.shape, channels * area), dtype=dtype, device=videos.device)
    launch(
        _gather_tubelets_kernel,
        (num_chosen, batch_size, tile.blocks),
        videos,
        idx,
        idx if mean is None else mean.contiguous(),
        idx if std is None else std.contiguous(),
        out,
        num_chosen,
        num_tokens,
        *videos.stride(),
        *idx.stride(),
        HAS_MEAN=mean is not None,
        HAS_STD=std is not None,
        GRID_H=grid[1],
        GRID_W=grid[2],
        CHANNELS=channels,
        TUBELET=tubelet_size,
        PATCH=patch_size,
        CHANNELS_FIRST=layout == "c t h w",
        CHANNEL_BLOCK=tile.channels,
        AREA_BLOCK=tile.area,
        num_warps=tile.num_warps,
    )
    return out


def _gather_tubelets(
    videos: Tensor,
    idx: Tensor,
    mean: Tensor | None,
    std: Tensor | None,
    tubelet_size: int,
    patch_size: int,
    dtype: torch.dtype,
    layout: str,
) -> Tensor:
    pixels = reference.gather_tubelets(
        videos,
        idx,
        tubelet_size=tubelet_size,
        patch_size=patch_size,
        mean=mean,
        std=std,
        dtype=dtype,
        layout=layout,
    )
    return pixels.contiguous()


gather_tubelets_op = torch.library.custom_op(
    "lightly_marlin::gather_tubelets", _gather_tubelets, mutates_args=()
)
register_kernel(gather_tubelets_op, launch_gather_tubelets, _gather_tubelets)


@gather_tubelets_op.register_fake
def _fake(
    videos: Tensor,
    idx: Tensor,
    mean: Tensor | None,
    std: Tensor | None,
    tubelet_size: int,
    patch_size: int,
    dtype: torch.dtype,
    layout: str,
) -> Tensor:
    num_pixels = videos.shape[1] * tubelet_size * patch_size**2
    return videos.new_empty((*idx.shape, num_pixels), dtype=dtype)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    videos, idx, _, std, ctx.tubelet_size, ctx.patch_size, _, ctx.layout = inputs
    ctx.save_for_backward(idx, std)
    ctx.shape, ctx.dtype = videos.shape, videos.dtype


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    idx, std = ctx.saved_tensors
    sizes = (list(ctx.shape), ctx.tubelet_size, ctx.patch_size)
    grad = call_op(scatter_tubelets_op, grad, idx, std, *sizes, ctx.layout, ctx.dtype)
    return grad, *[None] * 7


register_gradient(gather_tubelets_op, _backward, _setup_context)


def gather_tubelets(
    videos: Tensor,
    idx: Tensor,
    *,
    tubelet_size: int = 2,
    patch_size: int = 16,
    mean: Sequence[float] | Tensor | None = None,
    std: Sequence[float] | Tensor | None = None,
    dtype: torch.dtype | None = None,
    layout: str = "c t h w",
) -> Tensor:
    """Cuts the chosen tubelets out of clips; only their pixels are read and scaled.

    result[b, k] = (scale * tubelet(videos[b], idx[b, k]) - mean) / std, with scale
    1/255 for uint8 videos and 1 for others. Tokens are numbered row by row over the
    (t, h, w) grid of tubelets. No strides are copied away: a decoder's (B, T, H, W, C)
    permuted is read in place. Differentiable once in floating-point videos; double
    backward is not supported.

    Args:
        videos: (B, C, T, H, W), uint8 in [0, 255] or floating point in [0, 1]. T is a
            multiple of `tubelet_size`, H and W of `patch_size`.
        idx: (B, n) int64 in [0, N), N = T / tubelet_size * H / patch_size
            * W / patch_size.
        tubelet_size: Frames per tubelet.
        patch_size: Side of a tubelet in pixels.
        mean: C values in the unit of the scaled pixels; a constant without gradient.
            A tensor on the device of the videos saves a transfer.
        std: C values > 0 in the same unit, a constant as well.
        dtype: Floating-point dtype of the result; None for float32 for uint8 videos,
            else the videos' own.
        layout: Order of the pixels in a token: "c t h w" as MARLIN and convolution
            weights have it, or "t h w c" as VideoMAE and Hugging Face have it.

    Returns:
        (B, n, P) of `dtype`, P = C * tubelet_size * patch_size**2, contiguous.

    Raises:
        TypeError: If `videos` or `idx` are no tensors.
        ValueError: If a shape, dtype, device, option or index is not as above (index
            values on CUDA: see `lightly_marlin.kernels.checks`).
    """
    num_tokens = check_videos(videos, tubelet_size=tubelet_size, patch_size=patch_size)
    check_indices(
        "idx",
        idx,
        batch_size=videos.shape[0],
        num_tokens=num_tokens,
        device=videos.device,
    )
    check_choice("layout", layout, _LAYOUTS)
    dtype = reference.default_dtype(videos) if dtype is None else dtype
    if not dtype.is_floating_point:
        raise ValueError(f"dtype must be a floating-point dtype, got {dtype}.")
    pixels: Tensor = call_op(
        gather_tubelets_op,
        videos,
        idx,
        _channel_values("mean", mean, videos),
        _channel_values("std", std, videos),
        tubelet_size,
        patch_size,
        dtype,
        layout,
    )
    return pixels


def _channel_values(
    name: str, values: Sequence[float] | Tensor | None, videos: Tensor
) -> Tensor | None:
    """Returns (C,) values as a tensor on the device of the videos."""
    if values is None:
        return None
    channels = videos.shape[1]
    if isinstance(values, Tensor):
        check_same_device(name, values, videos.device)
        shape = tuple(values.shape)
    else:
        shape = (len(values),)
        if name == "std" and min(values, default=1.0) <= 0:
            raise ValueError(f"std must be > 0, got {list(values)}.")
    if shape != (channels,):
        raise ValueError(
            f"{name} must have one value for each of {channels} channels, "
            f"got shape {shape}."
        )
    dtype = torch.promote_types(reference.default_dtype(videos), torch.float32)
    return torch.as_tensor(values, dtype=dtype, device=videos.device).detach()
