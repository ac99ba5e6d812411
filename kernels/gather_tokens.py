"""Gather of tokens with their position embedding: what enters a masked encoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lightly_marlin.kernels import reference
from lightly_marlin.kernels.checks import (
    check_floating,
    check_indices,
    check_pos_embed,
)
from lightly_marlin.kernels.dispatch import register_kernel, require_rows
from lightly_marlin.kernels.op_calls import call_op, register_gradient
from lightly_marlin.kernels.scatter_tokens import scatter_tokens_op
from lightly_marlin.kernels.sum_tokens import sum_over_clips_op
from lightly_marlin.kernels.tiles import row_tile
from lightly_marlin.kernels.triton_language import jit, launch, tl

__all__ = ["gather_tokens", "launch_gather_tokens"]


@jit
def _gather_tokens_kernel(
    tokens_ptr: tl.tensor,  # (B, N, D), any strides
    idx_ptr: tl.tensor,  # (B, n), any strides
    pos_ptr: tl.tensor,  # (N, D), any strides; not read without HAS_POS
    out_ptr: tl.tensor,  # (B, n, D), contiguous
    num_rows: tl.tensor,
    num_chosen: tl.tensor,
    num_tokens: tl.tensor,
    dim: tl.tensor,
    tokens_stride_b: tl.tensor,
    tokens_stride_n: tl.tensor,
    tokens_stride_d: tl.tensor,
    idx_stride_b: tl.tensor,
    idx_stride_n: tl.tensor,
    pos_stride_n: tl.tensor,
    pos_stride_d: tl.tensor,
    HAS_POS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    COLUMN_BLOCKS: tl.constexpr,
) -> None:
    """Copies ROWS rows of the result by COLUMNS columns; grid (row tiles * blocks,)."""
    tile = tl.program_id(0)
    rows = tile // COLUMN_BLOCKS * ROWS + tl.arange(0, ROWS)
    columns = (tile % COLUMN_BLOCKS * COLUMNS + tl.arange(0, COLUMNS)).to(tl.int64)
    # Divided in 32 bits, which is cheap, and multiplied in 64, which is safe.
    clips = (rows // num_chosen).to(tl.int64)
    places = (rows % num_chosen).to(tl.int64)
    token = tl.load(
        idx_ptr + clips * idx_stride_b + places * idx_stride_n,
        mask=rows < num_rows,
        other=-1,
    )
    # An index outside [0, N) gives NaN instead of an out-of-bounds read.
    exists = (token >= 0) & (token < num_tokens)
    mask = exists[:, None] & (columns < dim)[None, :]
    first = clips * tokens_stride_b + token * tokens_stride_n
    offsets = first[:, None] + (columns * tokens_stride_d)[None, :]
    chosen = tl.load(tokens_ptr + offsets, mask=mask, other=float("nan"))
    chosen = chosen.to(tl.float32)
    if HAS_POS:
        offsets = (token * pos_stride_n)[:, None] + (columns * pos_stride_d)[None, :]
        chosen += tl.load(pos_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
    tl.store(
        out_ptr + (rows.to(tl.int64) * dim)[:, None] + columns[None, :],
        chosen.to(out_ptr.dtype.element_ty),
        mask=(rows < num_rows)[:, None] & (columns < dim)[None, :],
    )


def launch_gather_tokens(
    tokens: Tensor, idx: Tensor, pos_embed: Tensor | None
) -> Tensor:
    """Runs the kernel; arguments and result as those of the public function."""
    batch_size, num_chosen = idx.shape
    num_tokens, dim = tokens.shape[1:]
    dtype = tokens.dtype
    if pos_embed is not None:
        dtype = torch.promote_types(dtype, pos_embed.dtype)
    out = torch.empty((batch_size, num_chosen, dim), dtype=dtype, device=tokens.device)
    pos_strides = (0, 0) if pos_embed is None else pos_embed.stride()[-2:]
    tile = row_tile(dim)
    num_rows = batch_size * num_chosen
    require_rows(num_rows)
    launch(
        _gather_tokens_kernel,
        (-(-num_rows // tile.rows) * tile.blocks,),
        tokens,
        idx,
        tokens if pos_embed is None else pos_embed,
        out,
        num_rows,
        num_chosen,
        num_tokens,
        dim,
        *tokens.stride(),
        *idx.stride(),
        *pos_strides,
        HAS_POS=pos_embed is not None,
        ROWS=tile.rows,
        COLUMNS=tile.columns,
        COLUMN_BLOCKS=tile.blocks,
        num_warps=tile.num_warps,
    )
    return out


def _gather_tokens(tokens: Tensor, idx: Tensor, pos_embed: Tensor | None) -> Tensor:
    return reference.gather_tokens(tokens, idx, pos_embed).contiguous()


gather_tokens_op = torch.library.custom_op(
    "lightly_marlin::gather_tokens", _gather_tokens, mutates_args=()
)
register_kernel(gather_tokens_op, launch_gather_tokens, _gather_tokens)


@gather_tokens_op.register_fake
def _fake(tokens: Tensor, idx: Tensor, pos_embed: Tensor | None) -> Tensor:
    dtype = tokens.dtype
    if pos_embed is not None:
        dtype = torch.promote_types(dtype, pos_embed.dtype)
    return tokens.new_empty((*idx.shape, tokens.shape[-1]), dtype=dtype)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    tokens, idx, pos_embed = inputs
    ctx.save_for_backward(idx)
    ctx.num_tokens, ctx.tokens_dtype = tokens.shape[1], tokens.dtype
    if pos_embed is not None:
        ctx.pos_shape, ctx.pos_dtype = pos_embed.shape, pos_embed.dtype


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, Tensor | None]:
    (idx,) = ctx.saved_tensors
    needs_tokens, _, needs_pos = ctx.needs_input_grad
    grad_tokens = grad_pos = None
    if needs_tokens:
        grad_tokens = call_op(
            scatter_tokens_op, grad, idx, ctx.num_tokens, ctx.tokens_dtype
        )
    if needs_pos:
        grad_pos = call_op(sum_over_clips_op, grad, idx, ctx.num_tokens, ctx.pos_dtype)
        grad_pos = grad_pos.view(ctx.pos_shape)
    return grad_tokens, None, grad_pos


register_gradient(gather_tokens_op, _backward, _setup_context)


def gather_tokens(
    tokens: Tensor, idx: Tensor, pos_embed: Tensor | None = None
) -> Tensor:
    """Picks tokens and adds the positions of the picked ones only.

    result[b, k] = tokens[b, idx[b, k]] + pos_embed[idx[b, k]]: what Lightly's
    `get_at_index(tokens + pos_embed, idx)` gives, without adding positions to tokens
    that are dropped. Differentiable once in `tokens` and `pos_embed`; double backward
    is not supported.

    Args:
        tokens: (B, N, D) floating point, any strides.
        idx: (B, n) int64 in [0, N).
        pos_embed: (1, N, D) or (N, D) floating point, or None to add nothing.

    Returns:
        (B, n, D) of the wider of the two dtypes, contiguous.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: If a shape, dtype, device or index is not as above (index values on
            CUDA: see `lightly_marlin.kernels.checks`).
    """
    check_floating("tokens", tokens, ndim=3)
    batch_size, num_tokens, dim = tokens.shape
    check_indices(
        "idx",
        idx,
        batch_size=batch_size,
        num_tokens=num_tokens,
        device=tokens.device,
    )
    if pos_embed is not None:
        found = check_pos_embed(pos_embed, dim=dim, device=tokens.device)
        if found != num_tokens:
            raise ValueError(
                f"pos_embed must have a row for each of {num_tokens} tokens, "
                f"got shape {tuple(pos_embed.shape)}."
            )
    chosen: Tensor = call_op(gather_tokens_op, tokens, idx, pos_embed)
    return chosen
