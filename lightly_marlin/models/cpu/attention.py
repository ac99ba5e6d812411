"""Attention that is fast on AMD's processors.

PyTorch's fused attention multiplies bfloat16 through MKL on CPUs, which on AMD's
processors is no faster than float32 and slower than oneDNN, which serves plain matrix
products. Computed head by head, the scores stay in the cache, so fusion is not needed.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lightly_marlin.models.blocks import QVBiasAttention
from lightly_marlin.models.cpu.linear import linear
from lightly_marlin.models.cpu.processor import onednn_is_faster, runs_plainly

__all__ = ["FastAttention", "attention"]

# Rows of scores computed at a time: a few megabytes at any sequence length.
_ROWS = 784


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
) -> Tensor:
    """Computes the same as `torch.nn.functional.scaled_dot_product_attention`.

    Args:
        q: Queries (B, heads, N, d), floating point.
        k: Keys (B, heads, N, d).
        v: Values (B, heads, N, d).
        attn_mask: Passed on to `scaled_dot_product_attention`.
        is_causal: Passed on to `scaled_dot_product_attention`.

    Returns:
        Tensor (B, heads, N, d). For bfloat16 without gradients on a CPU, scores are
        rounded to bfloat16 before the softmax, as unfused attention does everywhere.
    """
    unmasked = attn_mask is None and not is_causal
    if unmasked and _prefers_products(q, k, v):
        return _by_products(q, k, v)
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask=attn_mask, is_causal=is_causal
    )


class FastAttention(QVBiasAttention):
    """`QVBiasAttention` computed with `linear` and `attention`."""

    _linear = staticmethod(linear)
    _attention = staticmethod(attention)


def _by_products(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    batch, heads, length, dim = q.shape
    q = q * dim**-0.5
    # Laid out so that joining the heads needs no copy.
    out = q.new_empty(batch, length, heads, dim).transpose(1, 2)
    for b in range(batch):
        for h in range(heads):
            keys, values = k[b, h].t().contiguous(), v[b, h].contiguous()
            for start in range(0, length, _ROWS):
                rows = slice(start, start + _ROWS)
                scores = torch.mm(q[b, h, rows], keys)
                out[b, h, rows] = torch.mm(scores.softmax(dim=-1), values)
    return out


def _prefers_products(q: Tensor, k: Tensor, v: Tensor) -> bool:
    if runs_plainly(q.device) or not onednn_is_faster():
        return False
    if not q.dtype == k.dtype == v.dtype == torch.bfloat16:
        return False
    if torch.is_grad_enabled() and (q.requires_grad or k.requires_grad):
        return False
    # Fused attention uses the processor's matrix units itself.
    amx = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return amx is None or not amx()
