"""Adding rows back where tokens were gathered from: the transpose of that gather.

Rows of one clip that carry the same token number add up, in float32 and in the order
of their places, so the result is the same in every run.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lightly_marlin.kernels.dispatch import (
    register_kernel,
    require_dtype,
    require_rows,
)
from lightly_marlin.kernels.tiles import row_tile
from lightly_marlin.kernels.token_places import add_scattered_rows, launch_token_places
from lightly_marlin.kernels.triton_language import jit, launch, tl

__all__ = ["launch_scatter_tokens", "scatter_tokens", "scatter_tokens_op"]


@jit
def _scatter_tokens_kernel(
    rows_ptr: tl.tensor,  # (B, n, D), any strides
    idx_ptr: tl.tensor,  # (B, n), any strides
    places_ptr: tl.tensor,  # (2, B, N) int32, see token_places
    out_ptr: tl.tensor,  # (B, N, D), contiguous
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
    """Writes ROWS tokens by COLUMNS columns; grid (row tiles * blocks,)."""
    tile = tl.program_id(0)
    slots = tile // COLUMN_BLOCKS * ROWS + tl.arange(0, ROWS)
    columns = (tile % COLUMN_BLOCKS * COLUMNS + tl.arange(0, COLUMNS)).to(tl.int64)
    valid = slots < num_slots
    # Divided in 32 bits, which is cheap, and multiplied in 64, which is safe.
    total = add_scattered_rows(
        rows_ptr,
        idx_ptr,
        places_ptr,
        (slots // num_tokens).to(tl.int64),
        (slots % num_tokens).to(tl.int64),
        valid,
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
    tl.store(
        out_ptr + (slots.to(tl.int64) * dim)[:, None] + columns[None, :],
        total.to(out_ptr.dtype.element_ty),
        mask=valid[:, None] & (columns < dim)[None, :],
    )


def launch_scatter_tokens(
    rows: Tensor, idx: Tensor, num_tokens: int, dtype: torch.dtype
) -> Tensor:
    """Runs the kernel; arguments and result as those of `scatter_tokens`."""
    require_dtype(dtype)
    batch_size, num_chosen, dim = rows.shape
    out = torch.empty((batch_size, num_tokens, dim), dtype=dtype, device=rows.device)
    tile = row_tile(dim)
    num_slots = batch_size * num_tokens
    require_rows(num_slots)
    launch(
        _scatter_tokens_kernel,
        (-(-num_slots // tile.rows) * tile.blocks,),
        rows,
        idx,
        launch_token_places(idx, num_tokens),
        out,
        num_chosen,
        num_slots,
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


def scatter_tokens(
    rows: Tensor, idx: Tensor, num_tokens: int, dtype: torch.dtype
) -> Tensor:
    """Adds rows into a table of zeros at their token numbers, in plain PyTorch.

    Args:
        rows: (B, n, D) floating point.
        idx: (B, n) int64 in [0, N).
        num_tokens: N.
        dtype: Of the result; half precision is summed in float32.

    Returns:
        (B, N, D) of `dtype`.
    """
    batch_size, _, dim = rows.shape
    clip = torch.arange(batch_size, device=idx.device).unsqueeze(1)
    # bfloat16 would round after every addition.
    rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
    table = rows.new_zeros(batch_size * num_tokens, dim)
    line = (clip * num_tokens + idx).flatten()
    table.index_add_(0, line, rows.reshape(-1, dim))
    return table.view(batch_size, num_tokens, dim).to(dtype)


scatter_tokens_op = torch.library.custom_op(
    "lightly_marlin::scatter_tokens", scatter_tokens, mutates_args=()
)
register_kernel(scatter_tokens_op, launch_scatter_tokens, scatter_tokens)


@scatter_tokens_op.register_fake
def _fake(rows: Tensor, idx: Tensor, num_tokens: int, dtype: torch.dtype) -> Tensor:
    return rows.new_empty((rows.shape[0], num_tokens, rows.shape[2]), dtype=dtype)
