"""Reconstruction of masked tokens as an objective."""

from __future__ import annotations

from torch import Tensor

from lightly_marlin.loss import MarlinReconstructionLoss
from lightly_marlin.models import Marlin
from lightly_marlin.training.objectives.objective import Objective
from lightly_marlin.training.objectives.step_context import StepContext

__all__ = ["Pixels"]


class Pixels(Objective):
    """Loss between the decoder's output and the pixels of the masked tokens.

    Raw or normalised pixels, or a first frame and differences to it, as the loss says.

    Args:
        loss: Loss of predictions, clips and indices.
    """

    def __init__(self, loss: MarlinReconstructionLoss) -> None:
        super().__init__()
        self.loss = loss

    @classmethod
    def of(cls, model: Marlin, **options: object) -> Pixels:
        """Returns the objective for the token sizes of a model.

        Args:
            model: The masked autoencoder.
            options: Further arguments of `MarlinReconstructionLoss`.
        """
        config = model.config
        loss = MarlinReconstructionLoss(
            tubelet_size=config.tubelet_size,
            patch_size=config.patch_size,
            **options,  # type: ignore[arg-type]
        )
        return cls(loss)

    @property
    def predicts_pixels(self) -> bool:
        """Whether the prediction is pixels, of which the clip gives away nothing."""
        return self.loss.target == "pixels" and not self.loss.norm_pix

    def forward(self, context: StepContext) -> Tensor:
        """Returns the reconstruction loss; of a motion target, its parts are logged.

        Args:
            context: The batch.
        """
        inputs = context.pred, context.videos, context.idx_mask
        if self.loss.target == "motion":
            parts = self.loss.parts(*inputs)
            context.parts["first_frame"] = parts.first_frame.detach()
            context.parts["difference"] = parts.motion.detach()
            return self.loss.total(parts)
        loss: Tensor = self.loss(*inputs)
        return loss

    def to_pixels(self, pred: Tensor, videos: Tensor, idx_mask: Tensor) -> Tensor:
        """Turns predictions into pixels, for the critic and for pictures.

        Args:
            pred: Predictions (B, n, P).
            videos: Clips that they were made of, (B, 3, T, H, W).
            idx_mask: int64 indices of the predicted tokens, (B, n).

        Returns:
            Pixels (B, n, P), about [0, 1]; see `MarlinReconstructionLoss.to_pixels`.
        """
        return self.loss.to_pixels(pred, videos, idx_mask)
