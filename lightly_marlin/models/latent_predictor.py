"""Predictors of features, such as a teacher's, at the masked positions."""

from __future__ import annotations

from torch import Tensor, nn

from lightly_marlin.models.blocks import init_linear_and_norm
from lightly_marlin.models.config import MarlinConfig
from lightly_marlin.models.decoder import MarlinDecoder

__all__ = ["LatentHead", "LatentPredictor"]


class LatentHead(nn.Module):
    """Linear head on tokens; on the pixel decoder's, it costs next to nothing.

        decoded = decoder.forward_tokens(visible, idx_keep, idx_mask)
        pixels, latents = decoder.head(decoded), latent_head(decoded)

    Args:
        dim: Width d of the tokens.
        out_dim: Width D of what is predicted, such as a teacher's tokens.
    """

    def __init__(self, dim: int, out_dim: int) -> None:
        super().__init__()
        self.proj = nn.Linear(dim, out_dim)
        init_linear_and_norm(self.proj)

    def forward(self, tokens: Tensor) -> Tensor:
        """Predicts by token.

        Args:
            tokens: Normalised tokens (B, n, d).

        Returns:
            Tokens (B, n, D).
        """
        pred: Tensor = self.proj(tokens)
        return pred


class LatentPredictor(nn.Module):
    """Transformer of its own from visible tokens to features of the masked ones [0].

    MARLIN's decoder between two linear layers. It departs from V-JEPA's predictor in
    its size (that of the decoder; V-JEPA has 12 blocks of width 384, more work than the
    whole pixel decoder), in its positions, which are MARLIN's sines and cosines of the
    flattened sequence, and in its initial weights, which are those of masked
    autoencoders.

    - [0]: V-JEPA, 2024, https://arxiv.org/abs/2404.08471

    Args:
        config: Sizes: the encoder's width is that of the tokens in and out, the
            decoder's sizes are those of the blocks. `dataclasses.replace` gives others.
        out_dim: Width D of what is predicted; None for the encoder's.

    Attributes:
        embed: Linear layer from the encoder's to the decoder's width.
        decoder: Decoder from visible tokens to features of the masked tokens.
    """

    def __init__(self, config: MarlinConfig, out_dim: int | None = None) -> None:
        super().__init__()
        self.embed = nn.Linear(config.encoder_dim, config.decoder_dim)
        self.decoder = MarlinDecoder(config, out_dim or config.encoder_dim)
        init_linear_and_norm(self.embed)

    def forward(self, visible: Tensor, idx_keep: Tensor, idx_mask: Tensor) -> Tensor:
        """Predicts the tokens at the masked positions.

        Args:
            visible: Encoded visible tokens (B, n_keep, D), as `MarlinEncoder.encode`
                returns them.
            idx_keep: Int64 tensor (B, n_keep): positions of the visible tokens.
            idx_mask: Int64 tensor (B, n_mask): positions to predict.

        Returns:
            Tokens (B, n_mask, D) in the order of `idx_mask`.
        """
        pred: Tensor = self.decoder(self.embed(visible), idx_keep, idx_mask)
        return pred
