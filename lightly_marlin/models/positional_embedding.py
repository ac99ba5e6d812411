"""Fixed positional embedding of MARLIN."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["sincos_positional_embedding"]


def sincos_positional_embedding(num_tokens: int, dim: int) -> Tensor:
    """Sines and cosines of the position in the flattened sequence of tokens [0].

    One-dimensional: a token's position is its index in (time, row, column) order, not
    its three coordinates. Even columns hold sines, odd columns cosines.

    - [0]: Attention Is All You Need, 2017, https://arxiv.org/abs/1706.03762

    Args:
        num_tokens: Number of positions N.
        dim: Width D of a token.

    Returns:
        Float32 tensor (1, N, D) with values in [-1, 1].
    """
    column = torch.arange(dim)
    # Angles are deliberately rounded to float32, as in the training of the released
    # models: exact angles differ by up to 1.4e-4 after the sine.
    wavelength = torch.tensor(10000.0).pow(2 * (column // 2) / dim)
    angle_ND = torch.arange(num_tokens)[:, None] * wavelength.reciprocal()
    embedding_ND = torch.where(column % 2 == 0, angle_ND.sin(), angle_ND.cos())
    return embedding_ND[None]
