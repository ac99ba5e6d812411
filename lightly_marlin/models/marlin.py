"""Masked autoencoder for face videos."""

from __future__ import annotations

from torch import Tensor, nn

from lightly_marlin.models.blocks import init_linear_and_norm
from lightly_marlin.models.config import MarlinConfig
from lightly_marlin.models.decoder import MarlinDecoder
from lightly_marlin.models.encoder import MarlinEncoder
from lightly_marlin.models.patches import paste_tubelets
from lightly_marlin.models.weights.pretrained import PretrainedMixin

__all__ = ["Marlin"]


class Marlin(PretrainedMixin, nn.Module):
    """Masked autoencoder for face videos [0].

    The encoder sees the visible tubelets only; the decoder predicts the pixels of the
    masked ones.

    - [0]: MARLIN: Masked Autoencoder for facial video Representation LearnINg, 2023,
      https://arxiv.org/abs/2211.06627

    Attributes:
        config: The sizes of the model.
        encoder: Encoder of visible tubelets to tokens.
        enc_dec_proj: Linear layer from the encoder's to the decoder's width, without
            bias.
        decoder: Decoder of visible tokens to the pixels of masked tubelets.
    """

    state_prefix = ""

    def __init__(self, config: MarlinConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = MarlinEncoder(config)
        self.enc_dec_proj = nn.Linear(
            config.encoder_dim, config.decoder_dim, bias=False
        )
        self.decoder = MarlinDecoder(config)
        init_linear_and_norm(self.enc_dec_proj)

    def forward(self, videos: Tensor, idx_keep: Tensor, idx_mask: Tensor) -> Tensor:
        """Predicts the masked tubelets of clips.

        Args:
            videos: Clips (B, C, T, H, W), uint8 in [0, 255] or float in [0, 1].
            idx_keep: Int64 tensor (B, n_keep) in [0, N): visible tokens.
            idx_mask: Int64 tensor (B, n_mask) in [0, N): tokens to predict.

        Returns:
            Pixels (B, n_mask, P) in the order of `idx_mask`, each tubelet in (channel,
            time, row, column) order; about [0, 1], not clamped.

        Raises:
            ValueError: If an argument has a shape, dtype or range that is not allowed.
        """
        visible = self.enc_dec_proj(self.encoder.encode(videos, idx_keep=idx_keep))
        pixels: Tensor = self.decoder(visible, idx_keep, idx_mask)
        return pixels

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recomputes activations in the backward pass instead of keeping them.

        Args:
            enable: Whether to.
        """
        self.encoder.set_grad_checkpointing(enable)
        self.decoder.blocks.grad_checkpointing = enable

    def reconstruct(self, videos: Tensor, idx_mask: Tensor, pred: Tensor) -> Tensor:
        """Pastes predicted tubelets into their clips, for visual inspection.

        Args:
            videos: Clips (B, C, T, H, W), uint8 in [0, 255] or float in [0, 1].
            idx_mask: Int64 tensor (B, n_mask) in [0, N): tokens that were predicted.
            pred: Predicted pixels (B, n_mask, P), as `forward` returns them.

        Returns:
            Float32 clips (B, C, T, H, W) in [0, 1].
        """
        config = self.config
        return paste_tubelets(
            videos, idx_mask, pred.detach(), config.tubelet_size, config.patch_size
        )
