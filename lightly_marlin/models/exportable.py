"""Encoder in the form for exporters and quantisers: plain layers, one bias each."""

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
    """Copies an encoder into the form that exporters and quantisers handle best.

    It computes the same function with the same weights, in the layers of PyTorch and
    timm. The biases of queries and values form one bias of the fused layer, with zeros
    for the keys, because a bias that is assembled at every call prevents quantisation
    and delegation to a mobile processor's library.

    Args:
        encoder: The encoder to copy; not modified.
        keep_seq: Return the features of every token instead of their mean.

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
