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
from lightly_marlin.kernels.scatter import scatter_tokens

__all__ = ["gather_tokens"]


@torch.library.custom_op("lightly_marlin::gather_tokens", mutates_args=())
def gather_tokens_op(tokens: Tensor, idx: Tensor, pos_embed: Tensor | None) -> Tensor:
    """Default body; a CUDA one goes beside it with `register_kernel("cuda")`."""
    return reference.gather_tokens(tokens, idx, pos_embed).contiguous()


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
    grad = scatter_tokens(grad, idx, ctx.num_tokens)
    grad_tokens = grad.to(ctx.tokens_dtype) if needs_tokens else None
    grad_pos = None
    if needs_pos:
        grad_pos = grad.sum(dim=0).view(ctx.pos_shape).to(ctx.pos_dtype)
    return grad_tokens, None, grad_pos


gather_tokens_op.register_autograd(_backward, setup_context=_setup_context)


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
    chosen: Tensor = gather_tokens_op(tokens, idx, pos_embed)
    return chosen
