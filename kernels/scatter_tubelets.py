"""Adding tubelets back into clips: the transpose of their gather.

Tubelets of one clip that carry the same token number add up, in float32 and in the
order of their places, so the result is the same in every run. Every pixel of the clips
is written once; there is no pass that only writes zeros.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lightly_marlin.kernels.dispatch import (
    UnservedError,
    register_kernel,
    require_dtype,
    require_tokens,
)
from lightly_marlin.kernels.scatter_tokens import scatter_tokens
from lightly_marlin.kernels.tiles import tubelet_tile
from lightly_marlin.kernels.token_places import launch_token_places
from lightly_marlin.kernels.triton_language import jit, launch, tl
from lightly_marlin.kernels.tubelet_pixels import (
    pixel_offsets,
    row_offsets,
    tubelet_origin,
)

__all__ = ["launch_scatter_tubelets", "scatter_tubelets", "scatter_tubelets_op"]


@jit
def _scatter_tubelets_kernel(
    rows_ptr: tl.tensor,  # (B, n, P), any strides
    idx_ptr: tl.tensor,  # (B, n), any strides
    places_ptr: tl.tensor,  # (2, B, N) int32, see token_places
    std_ptr: tl.tensor,  # (C,) float32, contiguous; not read without HAS_STD
    out_ptr: tl.tensor,  # (B, C, T, H, W), contiguous
    num_chosen: tl.tensor,
    num_slots: tl.tensor,
    num_tokens: tl.tensor,
    rows_stride_b: tl.tensor,
    rows_stride_n: tl.tensor,
    rows_stride_p: tl.tensor,
    idx_stride_b: tl.tensor,
    idx_stride_n: tl.tensor,
    out_stride_b: tl.tensor,
    out_stride_c: tl.tensor,
    out_stride_t: tl.tensor,
    out_stride_h: tl.tensor,
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
    """Writes AREA_BLOCK pixels of all channels of a token; grid (N, B, blocks)."""
    AREA: tl.constexpr = TUBELET * PATCH * PATCH
    token, clip = tl.program_id(0), tl.program_id(1).to(tl.int64)
    slot = clip * num_tokens + token
    first_place = num_chosen - tl.load(places_ptr + slot).to(tl.int64)
    num_places = tl.load(places_ptr + num_slots + slot)
    rows_ptr += clip * rows_stride_b
    idx_ptr += clip * idx_stride_b
    out_ptr += clip * out_stride_b + tubelet_origin(
        token, out_stride_t, out_stride_h, 1, GRID_H, GRID_W, TUBELET, PATCH
    )
    pixels = tl.program_id(2) * AREA_BLOCK + tl.arange(0, AREA_BLOCK)[None, :]
    for first in tl.static_range(0, CHANNELS, CHANNEL_BLOCK):
        channels = first + tl.arange(0, CHANNEL_BLOCK)[:, None].to(tl.int64)
        mask = (channels < CHANNELS) & (pixels < AREA)
        shift = row_offsets(channels, pixels, CHANNELS, AREA, CHANNELS_FIRST)
        shift *= rows_stride_p
        place, left = first_place, num_places
        total = tl.load(
            rows_ptr + shift + place * rows_stride_n, mask=mask & (left > 0), other=0.0
        ).to(tl.float32)
        # Only a token that was chosen twice gets into the loop.
        while left > 1:
            place += 1
            same = tl.load(idx_ptr + place * idx_stride_n) == token
            total += tl.load(
                rows_ptr + shift + place * rows_stride_n, mask=mask & same, other=0.0
            ).to(tl.float32)
            left -= same.to(tl.int32)
        if HAS_STD:
            total /= tl.load(std_ptr + channels, mask=channels < CHANNELS, other=1.0)
        offsets = pixel_offsets(
            channels, pixels, out_stride_c, out_stride_t, out_stride_h, 1, PATCH
        )
        tl.store(out_ptr + offsets, total.to(out_ptr.dtype.element_ty), mask=mask)


def launch_scatter_tubelets(
    rows: Tensor,
    idx: Tensor,
    std: Tensor | None,
    shape: list[int],
    tubelet_size: int,
    patch_size: int,
    layout: str,
    dtype: torch.dtype,
) -> Tensor:
    """Runs the kernel; arguments and result as those of `scatter_tubelets`."""
    require_dtype(dtype)
    batch_size, channels, frames, height, width = shape
    tile = tubelet_tile(channels, tubelet_size * patch_size**2)
    if tile is None:
        raise UnservedError(f"no kernel takes {channels} channels")
    grid = (frames // tubelet_size, height // patch_size, width // patch_size)
    num_tokens = grid[0] * grid[1] * grid[2]
    require_tokens(batch_size, num_tokens)
    out = torch.empty(tuple(shape), dtype=dtype, device=rows.device)
    launch(
        _scatter_tubelets_kernel,
        (num_tokens, batch_size, tile.blocks),
        rows,
        idx,
        launch_token_places(idx, num_tokens),
        rows if std is None else std,
        out,
        idx.shape[1],
        batch_size * num_tokens,
        num_tokens,
        *rows.stride(),
        *idx.stride(),
        *out.stride()[:-1],
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


def scatter_tubelets(
    rows: Tensor,
    idx: Tensor,
    std: Tensor | None,
    shape: list[int],
    tubelet_size: int,
    patch_size: int,
    layout: str,
    dtype: torch.dtype,
) -> Tensor:
    """Adds tubelets into clips of zeros at their places, in plain PyTorch.

    Args:
        rows: (B, n, P) floating point.
        idx: (B, n) int64 in [0, N).
        std: (C,) float32 or float64 that the result is divided by, or None.
        shape: (B, C, T, H, W) of the clips.
        tubelet_size: Frames per tubelet.
        patch_size: Side of a tubelet in pixels.
        layout: Order of the pixels in a row, "c t h w" or "t h w c".
        dtype: Of the result; half precision is summed in float32.

    Returns:
        (B, C, T, H, W) of `dtype`, contiguous.
    """
    batch_size, channels, frames, height, width = shape
    grid = (frames // tubelet_size, height // patch_size, width // patch_size)
    # Sums in float32 at least, as the forward computes.
    wide = torch.promote_types(rows.dtype, torch.float32)
    tokens = scatter_tokens(rows, idx, grid[0] * grid[1] * grid[2], wide)
    area = tubelet_size * patch_size**2
    rows_of_clips = tokens.shape[:2]
    if layout == "c t h w":
        tokens = tokens.view(*rows_of_clips, channels, area)
    else:
        tokens = tokens.view(*rows_of_clips, area, channels).transpose(2, 3)
    if std is not None:
        tokens = tokens / std.unsqueeze(1)
    tokens = tokens.reshape(
        batch_size, *grid, channels, tubelet_size, patch_size, patch_size
    )
    clips = tokens.permute(0, 4, 1, 5, 2, 6, 3, 7).reshape(shape)
    return clips.to(dtype)


scatter_tubelets_op = torch.library.custom_op(
    "lightly_marlin::scatter_tubelets", scatter_tubelets, mutates_args=()
)
register_kernel(scatter_tubelets_op, launch_scatter_tubelets, scatter_tubelets)


@scatter_tubelets_op.register_fake
def _fake(
    rows: Tensor,
    idx: Tensor,
    std: Tensor | None,
    shape: list[int],
    tubelet_size: int,
    patch_size: int,
    layout: str,
    dtype: torch.dtype,
) -> Tensor:
    return rows.new_empty(tuple(shape), dtype=dtype)
