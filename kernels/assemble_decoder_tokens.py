"""Joining visible tokens and mask tokens, with positions: what enters a decoder."""

from __future__ import annotations

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
from lightly_marlin.kernels.scatter import scatter_tokens

__all__ = ["assemble_decoder_tokens"]


@torch.library.custom_op("lightly_marlin::assemble_decoder_tokens", mutates_args=())
def assemble_decoder_tokens_op(
    visible: Tensor,
    mask_token: Tensor,
    pos_embed: Tensor,
    idx_keep: Tensor,
    idx_mask: Tensor,
) -> Tensor:
    """Default body; a CUDA one goes beside it with `register_kernel("cuda")`."""
    return reference.assemble_decoder_tokens(
        visible, mask_token, pos_embed, idx_keep, idx_mask
    )


@assemble_decoder_tokens_op.register_fake
def _fake(
    visible: Tensor,
    mask_token: Tensor,
    pos_embed: Tensor,
    idx_keep: Tensor,
    idx_mask: Tensor,
) -> Tensor:
    dtype = torch.promote_types(visible.dtype, mask_token.dtype)
    return visible.new_empty(
        (visible.shape[0], idx_keep.shape[1] + idx_mask.shape[1], visible.shape[2]),
        dtype=torch.promote_types(dtype, pos_embed.dtype),
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
        grad_mask_token = grad[:, num_kept:].sum(dim=(0, 1))
        grad_mask_token = grad_mask_token.view(ctx.shapes[1]).to(ctx.dtypes[1])
    if needs_pos:
        # Summed over clips afterwards, not added into one table by all clips at once:
        # on a GPU that would make the order of additions, so the result, vary.
        idx = torch.cat([idx_keep, idx_mask], dim=1)
        grad_pos = scatter_tokens(grad, idx, ctx.shapes[2][-2]).sum(dim=0)
        grad_pos = grad_pos.view(ctx.shapes[2]).to(ctx.dtypes[2])
    return grad_visible, grad_mask_token, grad_pos, None, None


assemble_decoder_tokens_op.register_autograd(_backward, setup_context=_setup_context)


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
    joined: Tensor = assemble_decoder_tokens_op(
        visible, mask_token, pos_embed, idx_keep, idx_mask
    )
    return joined
