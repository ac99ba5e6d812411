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

    Args:
        config: The sizes of the model.
        out_dim: Width P of a prediction; None for the pixels of a tubelet.

    Attributes:
        mask_token: Learned token (1, 1, D) that replaces every masked token.
        pos_embed: Fixed positional embedding (1, N, D), a parameter without gradient.
        head: Linear layer from a token to its prediction, the pixels of its tubelet.
    """

    def __init__(self, config: MarlinConfig, out_dim: int | None = None) -> None:
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
        self.head = nn.Linear(dim, config.patch_dim if out_dim is None else out_dim)
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
            Predictions (B, n_mask, P) in the order of `idx_mask`; pixels of a tubelet
            are in (channel, time, row, column) order.
        """
        pred: Tensor = self.head(self.forward_tokens(visible, idx_keep, idx_mask))
        return pred

    def forward_tokens(
        self, visible: Tensor, idx_keep: Tensor, idx_mask: Tensor
    ) -> Tensor:
        """Decodes the masked tokens up to the head, for other heads on them.

        Args:
            visible: Encoded visible tokens (B, n_keep, D), already of the decoder's
                width.
            idx_keep: Int64 tensor (B, n_keep): positions of the visible tokens.
            idx_mask: Int64 tensor (B, n_mask): positions to predict.

        Returns:
            Normalised tokens (B, n_mask, D) in the order of `idx_mask`;
            `head(forward_tokens(...))` is what `forward` returns.
        """
        tokens = assemble_decoder_tokens(
            visible, self.mask_token, self.pos_embed, idx_keep, idx_mask
        )
        masked: Tensor = self.norm(self.blocks(tokens, idx_keep.shape[1]))
        return masked
