"""Token similarity and attention maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from lightly_marlin.models import MarlinEncoder
    from lightly_marlin.models.blocks import QVBiasAttention

__all__ = ["token_attention", "token_similarity"]


def token_similarity(tokens: Tensor, query: int | None = None) -> Tensor:
    """Compares every token of a clip with one of them, or with their mean.

    Args:
        tokens: Floating-point tensor (B, N, D), as `MarlinEncoder.encode` returns it.
        query: Index of the token in [0, N); None for the mean of all tokens.

    Returns:
        float32 cosine similarities (B, N) in [-1, 1]; 1 at the query.

    Raises:
        ValueError: If `query` is not in [0, N).
    """
    _check_query(query, tokens.shape[1])
    tokens = tokens.float()
    if query is None:
        target = tokens.mean(dim=1, keepdim=True)
    else:
        target = tokens[:, query : query + 1]
    return F.cosine_similarity(tokens, target, dim=-1)


def token_attention(
    encoder: MarlinEncoder,
    videos: Tensor,
    query: int | None = None,
    *,
    block: int = -1,
) -> Tensor:
    """Returns the attention of a token to every token of its clip.

    Blocks use fused attention kernels that keep no weights, so the weights are
    recomputed head by head: one matrix (N, N) at a time.

    Args:
        encoder: The encoder.
        videos: Videos (B, C, T, H, W), uint8 in [0, 255] or float in [0, 1].
        query: Index of the token in [0, N) that attends; None for the mean over all
            tokens, which is the attention that each one receives.
        block: Index of the block in [-depth, depth); negative ones count from the last.

    Returns:
        float32 tensor (B, N), the mean over the heads; each row sums to 1.

    Raises:
        ValueError: If `query` or `block` is out of range, or `MarlinEncoder.preprocess`
            rejects the videos.
    """
    # Already loaded with an encoder; readers of windows alone need not load it.
    from lightly_marlin.models.blocks import QVBiasAttention

    _check_query(query, encoder.sequence_length)
    depth = len(encoder.blocks)
    if not -depth <= block < depth:
        raise ValueError(f"Invalid block {block}. Supported is [{-depth}, {depth}).")
    tokens = encoder.preprocess(videos)
    index = block % depth
    for earlier in range(index):
        tokens = encoder.blocks.run_block(earlier, tokens)
    layer, norm = encoder.blocks[index].attn, encoder.blocks[index].norm1
    assert isinstance(layer, QVBiasAttention)
    assert isinstance(norm, nn.Module)
    return _attention_weights(layer, norm(tokens), query)


def _attention_weights(
    layer: QVBiasAttention, tokens: Tensor, query: int | None
) -> Tensor:
    """Returns the weights (B, N) of a layer for its input (B, N, D)."""
    q, k, _ = layer.project(tokens)
    if query is not None:
        q = q[:, :, query : query + 1]
    total = torch.zeros(tokens.shape[:2], device=tokens.device)
    for head in range(layer.num_heads):
        scores = q[:, head].float() @ k[:, head].float().transpose(1, 2)
        scaled = scores * q.shape[-1] ** -0.5
        total = total + scaled.softmax(dim=-1).mean(dim=1)
    weights: Tensor = total / layer.num_heads
    return weights


def _check_query(query: int | None, num_tokens: int) -> None:
    if query is not None and not 0 <= query < num_tokens:
        raise ValueError(f"Invalid query {query}. Supported is [0, {num_tokens}).")
