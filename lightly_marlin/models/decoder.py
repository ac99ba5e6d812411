"""Decoder of MARLIN: from visible tokens to the pixels of the masked ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lightly_marlin.kernels import assemble_decoder_tokens
from lightly_marlin.models.blocks import TransformerBlocks, init_linear_and_norm
from lightly_marlin.models.config import MarlinConfig
from lightly_marlin.models.positional_embedding import sincos_positional_embedding

__all__ = ["MarlinDecoder"]


class MarlinDecoder(nn.Module):
    """Predicts the pixels of masked tubelets from the visible tokens [0].

    - [0]: MARLIN: Masked Autoencoder for facial video Representation LearnINg, 2023,
      https://arxiv.org/abs/2211.06627

    Attributes:
        mask_token: Learned token (1, 1, D) that replaces every masked token.
        pos_embed: Fixed positional embedding (1, N, D), a parameter without gradient.
        head: Linear layer from a token to the pixels of its tubelet.
    """

    def __init__(self, config: MarlinConfig) -> None:
        super().__init__()
        dim = config.decoder_dim
        self.mask_token = nn.Parameter(torch.empty(1, 1, dim))
        self.pos_embed = nn.Parameter(
            sincos_positional_embedding(config.num_tokens, dim), requires_grad=False
        )
        self.blocks = TransformerBlocks(
            dim, config.decoder_depth, config.decoder_num_heads, config.mlp_ratio
        )
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, config.patch_dim)
        nn.init.normal_(self.mask_token, std=0.02)
        self.apply(init_linear_and_norm)

    def forward(self, visible: Tensor, idx_keep: Tensor, idx_mask: Tensor) -> Tensor:
        """Predicts the masked tubelets.

        Args:
            visible: Encoded visible tokens (B, n_keep, D), already of the decoder's
                width.
            idx_keep: Int64 tensor (B, n_keep): positions of the visible tokens.
            idx_mask: Int64 tensor (B, n_mask): positions to predict.

        Returns:
            Pixels (B, n_mask, P) in the order of `idx_mask`, each tubelet in (channel,
            time, row, column) order.
        """
        tokens = assemble_decoder_tokens(
            visible, self.mask_token, self.pos_embed, idx_keep, idx_mask
        )
        masked = self.blocks(tokens)[:, idx_keep.shape[1] :]
        pixels: Tensor = self.head(self.norm(masked))
        return pixels
