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
from lightly_marlin.kernels.scatter import scatter_tubelets

__all__ = ["gather_tubelets"]

_LAYOUTS = ("c t h w", "t h w c")


@torch.library.custom_op("lightly_marlin::gather_tubelets", mutates_args=())
def gather_tubelets_op(
    videos: Tensor,
    idx: Tensor,
    mean: Tensor | None,
    std: Tensor | None,
    tubelet_size: int,
    patch_size: int,
    dtype: torch.dtype,
    layout: str,
) -> Tensor:
    """Default body; a CUDA one goes beside it with `register_kernel("cuda")`."""
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
    channels, area = ctx.shape[1], ctx.tubelet_size * ctx.patch_size**2
    if ctx.layout == "t h w c":
        grad = grad.reshape(*idx.shape, area, channels).transpose(2, 3).flatten(2)
    # Sums in float32 at least, as the forward computes.
    grad = grad.to(torch.promote_types(grad.dtype, torch.float32))
    if std is not None:
        grad = grad.reshape(*idx.shape, channels, area) / std.view(-1, 1)
        grad = grad.flatten(2)
    grad = scatter_tubelets(
        grad,
        idx,
        shape=ctx.shape,
        tubelet_size=ctx.tubelet_size,
        patch_size=ctx.patch_size,
    )
    return grad.to(ctx.dtype), *[None] * 7


gather_tubelets_op.register_autograd(_backward, setup_context=_setup_context)


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
        std: C values > 0, likewise.
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
    pixels: Tensor = gather_tubelets_op(
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
