"""Encoder prepared for exporters and quantisers: plain layers, one bias each."""

from __future__ import annotations

import copy

import torch
from timm.models.vision_transformer import Attention

from lightly_marlin.models.blocks import QVBiasAttention
from lightly_marlin.models.cpu import restore_layers
from lightly_marlin.models.encoder import MarlinEncoder

__all__ = ["exportable"]


class _TokenEncoder(MarlinEncoder):
    """Encoder that returns the features of every token when it is called."""

    forward = MarlinEncoder.encode


def exportable(encoder: MarlinEncoder, *, keep_seq: bool = False) -> MarlinEncoder:
    """Copies an encoder into the form that exporters and quantisers know best.

    The same function of the same weights, in the layers of PyTorch and timm. Biases of
    queries and values stand in one bias of the fused layer, with zeros for the keys,
    because a layer that is put together at every call is neither quantised nor handed
    to a mobile processor's library.

    Args:
        encoder: The encoder to copy; left as it is.
        keep_seq: Features of every token when it is called, not their mean.

    Returns:
        The copy, in evaluation mode and without gradients: videos (B, C, T, H, W) in,
        features (B, D) out, or (B, N, D) with `keep_seq`.
    """
    copied = restore_layers(copy.deepcopy(encoder))
    for block in copied.blocks:
        block.attn = _with_one_bias(block.attn)  # type: ignore[arg-type]
    if keep_seq:
        copied.__class__ = _TokenEncoder
    copied.eval().requires_grad_(False)
    return copied


def _with_one_bias(attention: QVBiasAttention) -> Attention:
    state = attention.state_dict()
    q_bias, v_bias = state.pop("q_bias"), state.pop("v_bias")
    state["qkv.bias"] = torch.cat((q_bias, torch.zeros_like(q_bias), v_bias))
    dim = attention.qkv.in_features
    joined = Attention(dim, num_heads=attention.num_heads, qkv_bias=True)
    joined.load_state_dict(state)
    return joined.to(q_bias)
