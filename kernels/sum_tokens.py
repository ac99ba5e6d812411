"""Sums of token gradients: over clips by position, and over everything.

Both are in float32 and in a fixed order of additions, so that a learned positional
embedding and a mask token get the same gradient in every run.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lightly_marlin.kernels.dispatch import (
    register_kernel,
    require_dtype,
    require_rows,
)
from lightly_marlin.kernels.scatter_tokens import scatter_tokens
from lightly_marlin.kernels.tiles import row_tile
from lightly_marlin.kernels.token_places import add_scattered_rows, launch_token_places
from lightly_marlin.kernels.triton_language import jit, launch, tl

__all__ = [
    "launch_sum_over_clips",
    "launch_sum_rows",
    "sum_over_clips_op",
    "sum_rows_op",
]

# Enough programs to fill a GPU at a batch of 64, and few partial sums.
_TILES_PER_PROGRAM = 16


@jit
def _sum_over_clips_kernel(
    rows_ptr: tl.tensor,  # (B, n, D), any strides
    idx_ptr: tl.tensor,  # (B, n), any strides
    places_ptr: tl.tensor,  # (2, B, N) int32, see token_places
    out_ptr: tl.tensor,  # (N, D), contiguous
    batch_size: tl.tensor,
    num_chosen: tl.tensor,
    num_slots: tl.tensor,
    num_tokens: tl.tensor,
    dim: tl.tensor,
    rows_stride_b: tl.tensor,
    rows_stride_n: tl.tensor,
    rows_stride_d: tl.tensor,
    idx_stride_b: tl.tensor,
    idx_stride_n: tl.tensor,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    COLUMN_BLOCKS: tl.constexpr,
) -> None:
    """Sums one token by COLUMNS columns over all clips; grid (N * blocks,)."""
    tile = tl.program_id(0)
    token = (tile // COLUMN_BLOCKS).to(tl.int64)
    columns = (tile % COLUMN_BLOCKS * COLUMNS + tl.arange(0, COLUMNS)).to(tl.int64)
    total = tl.zeros((COLUMNS,), tl.float32)
    start = 0
    while start < batch_size:
        clips = start + tl.arange(0, ROWS).to(tl.int64)
        some = add_scattered_rows(
            rows_ptr,
            idx_ptr,
            places_ptr,
            clips,
            token + clips * 0,
            clips < batch_size,
            columns,
            num_chosen,
            num_slots,
            num_tokens,
            dim,
            rows_stride_b,
            rows_stride_n,
            rows_stride_d,
            idx_stride_b,
            idx_stride_n,
        )
        total += tl.sum(some, axis=0)
        start += ROWS
    tl.store(
        out_ptr + token * dim + columns,
        total.to(out_ptr.dtype.element_ty),
        mask=columns < dim,
    )


@jit
def _sum_rows_kernel(
    rows_ptr: tl.tensor,  # (B, n, D), any strides
    out_ptr: tl.tensor,  # (partial sums, D) float32, contiguous
    num_rows: tl.tensor,
    num_chosen: tl.tensor,
    dim: tl.tensor,
    rows_stride_b: tl.tensor,
    rows_stride_n: tl.tensor,
    rows_stride_d: tl.tensor,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    COLUMN_BLOCKS: tl.constexpr,
    TILES: tl.constexpr,
) -> None:
    """Sums TILES * ROWS rows by COLUMNS columns; grid (partial sums * blocks,)."""
    tile = tl.program_id(0)
    part = tile // COLUMN_BLOCKS
    columns = (tile % COLUMN_BLOCKS * COLUMNS + tl.arange(0, COLUMNS)).to(tl.int64)
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    for step in range(TILES):
        rows = (part * TILES + step) * ROWS + tl.arange(0, ROWS)
        # Divided in 32 bits, which is cheap, and multiplied in 64, which is safe.
        first = (rows // num_chosen).to(tl.int64) * rows_stride_b
        first += (rows % num_chosen).to(tl.int64) * rows_stride_n
        total += tl.load(
            rows_ptr + first[:, None] + (columns * rows_stride_d)[None, :],
            mask=(rows < num_rows)[:, None] & (columns < dim)[None, :],
            other=0.0,
        ).to(tl.float32)
    tl.store(
        out_ptr + part.to(tl.int64) * dim + columns,
        tl.sum(total, axis=0),
        mask=columns < dim,
    )


def launch_sum_over_clips(
    rows: Tensor, idx: Tensor, num_tokens: int, dtype: torch.dtype
) -> Tensor:
    """Runs the kernel.

    Args:
        rows: (B, n, D) floating point.
        idx: (B, n) int64 in [0, N).
        num_tokens: N.
        dtype: Of the result; half precision is summed in float32.

    Returns:
        (N, D) of `dtype`: the sum of the rows with each token number.
    """
    require_dtype(dtype)
    batch_size, num_chosen, dim = rows.shape
    out = torch.empty((num_tokens, dim), dtype=dtype, device=rows.device)
    tile = row_tile(dim)
    launch(
        _sum_over_clips_kernel,
        (num_tokens * tile.blocks,),
        rows,
        idx,
        launch_token_places(idx, num_tokens),
        out,
        batch_size,
        num_chosen,
        batch_size * num_tokens,
        num_tokens,
        dim,
        *rows.stride(),
        *idx.stride(),
        ROWS=tile.rows,
        COLUMNS=tile.columns,
        COLUMN_BLOCKS=tile.blocks,
        num_warps=tile.num_warps,
    )
    return out


def launch_sum_rows(rows: Tensor, dtype: torch.dtype) -> Tensor:
    """Runs the kernel.

    Args:
        rows: (B, n, D) floating point.
        dtype: Of the result; half precision is summed in float32.

    Returns:
        (D,) of `dtype`: the sum of all rows.
    """
    batch_size, num_chosen, dim = rows.shape
    tile = row_tile(dim)
    num_rows = batch_size * num_chosen
    require_rows(num_rows)
    parts = -(-num_rows // (tile.rows * _TILES_PER_PROGRAM))
    partial = torch.empty((parts, dim), dtype=torch.float32, device=rows.device)
    launch(
        _sum_rows_kernel,
        (parts * tile.blocks,),
        rows,
        partial,
        num_rows,
        num_chosen,
        dim,
        *rows.stride(),
        ROWS=tile.rows,
        COLUMNS=tile.columns,
        COLUMN_BLOCKS=tile.blocks,
        TILES=_TILES_PER_PROGRAM,
        num_warps=tile.num_warps,
    )
    # A sum in PyTorch is in the same order every time.
    return partial.sum(dim=0).to(dtype)


def _sum_over_clips(
    rows: Tensor, idx: Tensor, num_tokens: int, dtype: torch.dtype
) -> Tensor:
    wide = torch.promote_types(rows.dtype, torch.float32)
    return scatter_tokens(rows, idx, num_tokens, wide).sum(dim=0).to(dtype)


def _sum_rows(rows: Tensor, dtype: torch.dtype) -> Tensor:
    wide = torch.promote_types(rows.dtype, torch.float32)
    return rows.sum(dim=(0, 1), dtype=wide).to(dtype)


sum_over_clips_op = torch.library.custom_op(
    "lightly_marlin::sum_over_clips", _sum_over_clips, mutates_args=()
)
register_kernel(sum_over_clips_op, launch_sum_over_clips, _sum_over_clips)


@sum_over_clips_op.register_fake
def _fake_over_clips(
    rows: Tensor, idx: Tensor, num_tokens: int, dtype: torch.dtype
) -> Tensor:
    return rows.new_empty((num_tokens, rows.shape[2]), dtype=dtype)


sum_rows_op = torch.library.custom_op(
    "lightly_marlin::sum_rows", _sum_rows, mutates_args=()
)
register_kernel(sum_rows_op, launch_sum_rows, _sum_rows)


@sum_rows_op.register_fake
def _fake_rows(rows: Tensor, dtype: torch.dtype) -> Tensor:
    return rows.new_empty((rows.shape[2],), dtype=dtype)
