"""Reconstruction loss of masked video models."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from lightly_marlin.kernels import masked_motion_losses, masked_reconstruction_loss
from lightly_marlin.kernels.checks import check_choice, check_motion_target
from lightly_marlin.kernels.masked_reconstruction_loss import LOSSES, TARGETS
from lightly_marlin.loss.predicted_pixels import denormalize_pixels, motion_to_pixels

__all__ = ["MarlinReconstructionLoss", "ReconstructionParts"]


class ReconstructionParts(NamedTuple):
    """Parts of the loss against a motion target, unweighted scalars.

    Attributes:
        first_frame: Loss of the first frames of the masked tokens.
        motion: Loss of the differences of later frames to them.
    """

    first_frame: Tensor
    motion: Tensor


class MarlinReconstructionLoss(nn.Module):
    """Mean difference between predicted and true pixels of the masked tokens.

    MARLIN compares raw pixels by their squared difference [0], which is the default;
    MAE and VideoMAE normalise the pixels of each token first (`norm_pix`) [1]. The clip
    itself is the target: no target tensor is built or passed, and uint8 clips are
    scaled by 1/255 on the fly. Works for any masked autoencoder that predicts pixels of
    tokens in (channel, time, row, column) order; images are clips of one frame.

    With `target="motion"` a token is its first frame and, for every later frame, the
    difference to the first [2], and the loss is (1 - w) times that of the first frames
    plus w times that of the differences, w being `motion_weight`. Faces hardly move
    from frame to frame: without a weight near 1, raw differences hardly count beside
    raw pixels. `parts` gives both for the log. A model trained so does not predict
    pixels: `to_pixels` makes them of its predictions, for a discriminator or a picture.

    - [0]: MARLIN, 2023, https://arxiv.org/abs/2211.06627
    - [1]: MAE, 2021, https://arxiv.org/abs/2111.06377
    - [2]: MAE-DFER, 2023, https://arxiv.org/abs/2307.02227 (which normalises each
      colour channel of a token by itself, and trains with the equivalent of w = 0.5)

    Args:
        norm_pix: Whether each target token is normalised by the mean and the unbiased
            variance (plus 1e-6) of all its pixels.
        loss: "mse", "l1" or "huber" (delta 1).
        tubelet_size: Frames per token.
        patch_size: Side of a token in pixels.
        target: "pixels" or "motion"; motion takes tokens of at least 2 frames.
        motion_weight: Weight w of the differences in [0, 1], for "motion" alone.

    Raises:
        ValueError: If an option is not supported.

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
        target: str = "pixels",
        motion_weight: float = 0.5,
    ) -> None:
        super().__init__()
        check_choice("loss", loss, LOSSES)
        check_choice("target", target, TARGETS)
        if target == "motion":
            check_motion_target(tubelet_size, motion_weight)
        self.norm_pix = norm_pix
        self.loss = loss
        self.tubelet_size = tubelet_size
        self.patch_size = patch_size
        self.target = target
        self.motion_weight = motion_weight

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
                in (channel, time, row, column) order, or differences for "motion".
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
            target=self.target,
            motion_weight=self.motion_weight,
        )

    def parts(
        self,
        pred: Tensor,
        videos: Tensor,
        idx_mask: Tensor,
        weights: Tensor | None = None,
    ) -> ReconstructionParts:
        """Returns both parts of the loss against a motion target.

        They come from one pass; `total` makes the loss of them without another.

        Args:
            pred: As in `forward`.
            videos: As in `forward`.
            idx_mask: As in `forward`.
            weights: As in `forward`.

        Raises:
            ValueError: If the target is not "motion", or as in `forward`.
        """
        if self.target != "motion":
            raise ValueError(
                f"Invalid target ({self.target!r}): only a loss with target 'motion' "
                "has parts."
            )
        return ReconstructionParts(
            *masked_motion_losses(
                pred,
                videos,
                idx_mask,
                tubelet_size=self.tubelet_size,
                patch_size=self.patch_size,
                norm_pix=self.norm_pix,
                loss=self.loss,
                weights=weights,
            )
        )

    def total(self, parts: ReconstructionParts) -> Tensor:
        """Returns the loss that `forward` returns, of its `parts`."""
        weight = self.motion_weight
        return (1 - weight) * parts.first_frame + weight * parts.motion

    def to_pixels(self, pred: Tensor, videos: Tensor, idx_mask: Tensor) -> Tensor:
        """Returns the pixels that a prediction for this loss stands for.

        Args:
            pred: As in `forward`.
            videos: As in `forward`.
            idx_mask: As in `forward`.

        Returns:
            (B, n, P) of the dtype of `pred`, differentiable in it: `pred` itself if it
            is pixels already; normalised ones are scaled by the true mean and deviation
            of their token.

        Raises:
            ValueError: If a shape, dtype, device or index is invalid.
        """
        sizes = {"tubelet_size": self.tubelet_size, "patch_size": self.patch_size}
        if self.target == "motion":
            return motion_to_pixels(
                pred, videos, idx_mask, norm_pix=self.norm_pix, **sizes
            )
        if self.norm_pix:
            return denormalize_pixels(pred, videos, idx_mask, **sizes)
        return pred
