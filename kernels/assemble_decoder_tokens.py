"""Decoder input: visible tokens and mask tokens joined, with positions added."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

from lightly_marlin.kernels import reference
from lightly_marlin.kernels.checks import (
    check_floating,
    check_indices,
    check_pos_embed,
    check_same_device,
)
from lightly_marlin.kernels.dispatch import register_kernel, require_rows
from lightly_marlin.kernels.op_calls import call_op, register_gradient
from lightly_marlin.kernels.sum_tokens import sum_over_clips_op, sum_rows_op
from lightly_marlin.kernels.tiles import row_tile
from lightly_marlin.kernels.triton_language import jit, launch, tl

__all__ = ["assemble_decoder_tokens", "launch_assemble_decoder_tokens"]


@jit
def _assemble_decoder_tokens_kernel(
    visible_ptr: tl.tensor,  # (B, n_keep, D), any strides
    mask_token_ptr: tl.tensor,  # (D,), any stride
    pos_ptr: tl.tensor,  # (N, D), any strides
    idx_keep_ptr: tl.tensor,  # (B, n_keep), any strides
    idx_mask_ptr: tl.tensor,  # (B, n_mask), any strides
    out_ptr: tl.tensor,  # (B, n_keep + n_mask, D), contiguous
    num_rows: tl.tensor,
    num_kept: tl.tensor,
    num_joined: tl.tensor,
    num_tokens: tl.tensor,
    dim: tl.tensor,
    visible_stride_b: tl.tensor,
    visible_stride_n: tl.tensor,
    visible_stride_d: tl.tensor,
    mask_token_stride: tl.tensor,
    pos_stride_n: tl.tensor,
    pos_stride_d: tl.tensor,
    keep_stride_b: tl.tensor,
    keep_stride_n: tl.tensor,
    mask_stride_b: tl.tensor,
    mask_stride_n: tl.tensor,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    COLUMN_BLOCKS: tl.constexpr,
) -> None:
    """Joins ROWS rows of the result by COLUMNS columns; grid (row tiles * blocks,)."""
    tile = tl.program_id(0)
    rows = tile // COLUMN_BLOCKS * ROWS + tl.arange(0, ROWS)
    columns = (tile % COLUMN_BLOCKS * COLUMNS + tl.arange(0, COLUMNS)).to(tl.int64)
    inside = columns < dim
    # Divided in 32 bits, which is cheap, and multiplied in 64, which is safe.
    clips = (rows // num_joined).to(tl.int64)
    places = (rows % num_joined).to(tl.int64)
    kept = (rows < num_rows) & (places < num_kept)
    masked = (rows < num_rows) & (places >= num_kept)
    offsets = clips * keep_stride_b + places * keep_stride_n
    token = tl.load(idx_keep_ptr + offsets, mask=kept, other=-1)
    offsets = clips * mask_stride_b + (places - num_kept) * mask_stride_n
    token = tl.where(masked, tl.load(idx_mask_ptr + offsets, mask=masked), token)
    # An index outside [0, N) gives NaN instead of an out-of-bounds read.
    exists = (token >= 0) & (token < num_tokens)
    offsets = (token * pos_stride_n)[:, None] + (columns * pos_stride_d)[None, :]
    joined = tl.load(
        pos_ptr + offsets, mask=exists[:, None] & inside[None, :], other=float("nan")
    ).to(tl.float32)
    first = clips * visible_stride_b + places * visible_stride_n
    offsets = first[:, None] + (columns * visible_stride_d)[None, :]
    joined += tl.load(
        visible_ptr + offsets, mask=kept[:, None] & inside[None, :], other=0.0
    ).to(tl.float32)
    mask_token = tl.load(
        mask_token_ptr + columns * mask_token_stride, mask=inside, other=0.0
    ).to(tl.float32)
    joined += tl.where(masked[:, None], mask_token[None, :], 0.0)
    tl.store(
        out_ptr + (rows.to(tl.int64) * dim)[:, None] + columns[None, :],
        joined.to(out_ptr.dtype.element_ty),
        mask=(rows < num_rows)[:, None] & inside[None, :],
    )


def launch_assemble_decoder_tokens(
    visible: Tensor,
    mask_token: Tensor,
    pos_embed: Tensor,
    idx_keep: Tensor,
    idx_mask: Tensor,
) -> Tensor:
    """Runs the kernel; arguments and result as those of the public function."""
    batch_size, num_kept, dim = visible.shape
    num_joined = num_kept + idx_mask.shape[1]
    out = torch.empty(
        (batch_size, num_joined, dim),
        dtype=_widest_dtype(visible, mask_token, pos_embed),
        device=visible.device,
    )
    tile = row_tile(dim)
    num_rows = batch_size * num_joined
    require_rows(num_rows)
    launch(
        _assemble_decoder_tokens_kernel,
        (-(-num_rows // tile.rows) * tile.blocks,),
        visible,
        mask_token,
        pos_embed,
        idx_keep,
        idx_mask,
        out,
        num_rows,
        num_kept,
        num_joined,
        pos_embed.shape[-2],
        dim,
        *visible.stride(),
        mask_token.stride(-1),
        *pos_embed.stride()[-2:],
        *idx_keep.stride(),
        *idx_mask.stride(),
        ROWS=tile.rows,
        COLUMNS=tile.columns,
        COLUMN_BLOCKS=tile.blocks,
        num_warps=tile.num_warps,
    )
    return out


def _assemble_decoder_tokens(
    visible: Tensor,
    mask_token: Tensor,
    pos_embed: Tensor,
    idx_keep: Tensor,
    idx_mask: Tensor,
) -> Tensor:
    return reference.assemble_decoder_tokens(
        visible, mask_token, pos_embed, idx_keep, idx_mask
    )


assemble_decoder_tokens_op = torch.library.custom_op(
    "lightly_marlin::assemble_decoder_tokens",
    _assemble_decoder_tokens,
    mutates_args=(),
)
register_kernel(
    assemble_decoder_tokens_op,
    launch_assemble_decoder_tokens,
    _assemble_decoder_tokens,
)


@assemble_decoder_tokens_op.register_fake
def _fake(
    visible: Tensor,
    mask_token: Tensor,
    pos_embed: Tensor,
    idx_keep: Tensor,
    idx_mask: Tensor,
) -> Tensor:
    return visible.new_empty(
        (visible.shape[0], idx_keep.shape[1] + idx_mask.shape[1], visible.shape[2]),
        dtype=_widest_dtype(visible, mask_token, pos_embed),
    )


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *parts, idx_keep, idx_mask = inputs
    ctx.save_for_backward(idx_keep, idx_mask)
    ctx.shapes = [part.shape for part in parts]
    ctx.dtypes = [part.dtype for part in parts]


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    idx_keep, idx_mask = ctx.saved_tensors
    needs_visible, needs_mask_token, needs_pos, *_ = ctx.needs_input_grad
    num_kept = idx_keep.shape[1]
    grad_visible = grad_mask_token = grad_pos = None
    if needs_visible:
        grad_visible = grad[:, :num_kept].to(ctx.dtypes[0])
    if needs_mask_token:
        grad_mask_token = call_op(sum_rows_op, grad[:, num_kept:], ctx.dtypes[1])
        grad_mask_token = grad_mask_token.view(ctx.shapes[1])
    if needs_pos:
        idx = torch.cat([idx_keep, idx_mask], dim=1)
        num_tokens = ctx.shapes[2][-2]
        grad_pos = call_op(sum_over_clips_op, grad, idx, num_tokens, ctx.dtypes[2])
        grad_pos = grad_pos.view(ctx.shapes[2])
    return grad_visible, grad_mask_token, grad_pos, None, None


register_gradient(assemble_decoder_tokens_op, _backward, _setup_context)


def _widest_dtype(*tensors: Tensor) -> torch.dtype:
    return functools.reduce(torch.promote_types, (t.dtype for t in tensors))


def assemble_decoder_tokens(
    visible: Tensor,
    mask_token: Tensor,
    pos_embed: Tensor,
    idx_keep: Tensor,
    idx_mask: Tensor,
) -> Tensor:
    """Joins visible tokens and mask tokens, each with its position, for a decoder.

    result = [visible + pos_embed[idx_keep], mask_token + pos_embed[idx_mask]].
    Differentiable once in `visible`, `mask_token` and `pos_embed`; double backward is
    not supported.

    Args:
        visible: (B, n_keep, D) floating point, any strides.
        mask_token: (1, 1, D) or (D,) floating point.
        pos_embed: (1, N, D) or (N, D) floating point.
        idx_keep: (B, n_keep) int64 in [0, N), positions of the visible tokens.
        idx_mask: (B, n_mask) int64 in [0, N), positions of the masked tokens.

    Returns:
        (B, n_keep + n_mask, D): the visible tokens in the order of `idx_keep`, then
        the mask tokens in the order of `idx_mask`; of the widest dtype received,
        contiguous.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: If a shape, dtype, device or index is not as above (index values on
            CUDA: see `lightly_marlin.kernels.checks`).
    """
    check_floating("visible", visible, ndim=3)
    batch_size, num_kept, dim = visible.shape
    device = visible.device
    check_floating("mask_token", mask_token)
    if tuple(mask_token.shape) not in ((dim,), (1, 1, dim)):
        raise ValueError(
            f"mask_token must have shape ({dim},) or (1, 1, {dim}), as visible is "
            f"{dim} wide, got shape {tuple(mask_token.shape)}."
        )
    check_same_device("mask_token", mask_token, device)
    num_tokens = check_pos_embed(pos_embed, dim=dim, device=device)
    for name, idx in (("idx_keep", idx_keep), ("idx_mask", idx_mask)):
        check_indices(
            name, idx, batch_size=batch_size, num_tokens=num_tokens, device=device
        )
    if idx_keep.shape[1] != num_kept:
        raise ValueError(
            f"idx_keep must have one index for each of {num_kept} visible tokens, "
            f"got shape {tuple(idx_keep.shape)}."
        )
    joined: Tensor = call_op(
        assemble_decoder_tokens_op, visible, mask_token, pos_embed, idx_keep, idx_mask
    )
    return joined
