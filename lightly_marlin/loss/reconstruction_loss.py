"""Reconstruction loss of masked video models."""

from __future__ import annotations

from torch import Tensor, nn

from lightly_marlin.kernels import masked_reconstruction_loss
from lightly_marlin.kernels.checks import check_choice
from lightly_marlin.kernels.masked_reconstruction_loss import LOSSES

__all__ = ["MarlinReconstructionLoss"]


class MarlinReconstructionLoss(nn.Module):
    """Mean difference between predicted and true pixels of the masked tokens.

    MARLIN compares raw pixels by their squared difference [0], which is the default;
    MAE and VideoMAE normalise the pixels of each token first (`norm_pix`) [1]. The clip
    itself is the target: no target tensor is built or passed, and uint8 clips are
    scaled by 1/255 on the fly. Works for any masked autoencoder that predicts pixels of
    tokens in (channel, time, row, column) order; images are clips of one frame.

    - [0]: MARLIN, 2023, https://arxiv.org/abs/2211.06627
    - [1]: MAE, 2021, https://arxiv.org/abs/2111.06377

    Args:
        norm_pix: Whether each target token is normalised by the mean and the unbiased
            variance (plus 1e-6) of all its pixels.
        loss: "mse", "l1" or "huber" (delta 1).
        tubelet_size: Frames per token.
        patch_size: Side of a token in pixels.

    Raises:
        ValueError: If `loss` is not supported.

    Examples:
        >>> videos = torch.randint(256, (2, 3, 16, 224, 224), dtype=torch.uint8)
        >>> idx_mask = torch.arange(1412).repeat(2, 1)  # of 1568 tokens
        >>> pred = torch.zeros(2, 1412, 1536, requires_grad=True)
        >>> loss = MarlinReconstructionLoss()(pred, videos, idx_mask)
        >>> loss.backward()
    """

    def __init__(
        self,
        norm_pix: bool = False,
        loss: str = "mse",
        tubelet_size: int = 2,
        patch_size: int = 16,
    ) -> None:
        super().__init__()
        check_choice("loss", loss, LOSSES)
        self.norm_pix = norm_pix
        self.loss = loss
        self.tubelet_size = tubelet_size
        self.patch_size = patch_size

    def forward(
        self,
        pred: Tensor,
        videos: Tensor,
        idx_mask: Tensor,
        weights: Tensor | None = None,
    ) -> Tensor:
        """Returns the loss of one batch, computed in float32 even under autocast.

        Args:
            pred: (B, n, P) floating point, P = C * tubelet_size * patch_size**2 pixels
                in (channel, time, row, column) order.
            videos: (B, C, T, H, W), uint8 in [0, 255] or floating point in [0, 1].
            idx_mask: (B, n) int64 in [0, N), the tokens of `pred`.
            weights: (B, n) floating point >= 0, one per token, for a weighted mean;
                None for equal weights.

        Returns:
            Scalar, float32 (float64 if `pred` or `videos` are).

        Raises:
            ValueError: If a shape, dtype, device or index is invalid.
        """
        return masked_reconstruction_loss(
            pred,
            videos,
            idx_mask,
            tubelet_size=self.tubelet_size,
            patch_size=self.patch_size,
            norm_pix=self.norm_pix,
            loss=self.loss,
            weights=weights,
        )
