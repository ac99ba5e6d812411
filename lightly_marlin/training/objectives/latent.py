"""Prediction of a teacher's tokens at the masked positions as an objective."""

from __future__ import annotations

from torch import Tensor

from lightly_marlin.loss import LatentPredictionLoss
from lightly_marlin.models import MarlinConfig
from lightly_marlin.training.objectives.masked_prediction import MaskedPrediction
from lightly_marlin.training.objectives.step_context import StepContext

__all__ = ["Latent"]


class Latent(MaskedPrediction):
    """Loss between predicted and the teacher's tokens, in the manner of V-JEPA.

    Args:
        config: Sizes of the model.
        with_decoder: Whether to use the pixel decoder's tokens, see `MaskedPrediction`.
        loss: Loss of predictions, teacher tokens and indices; by default V-JEPA's.
    """

    needs_teacher = True

    def __init__(
        self,
        config: MarlinConfig,
        *,
        with_decoder: bool,
        loss: LatentPredictionLoss | None = None,
    ) -> None:
        super().__init__(config, config.encoder_dim, with_decoder=with_decoder)
        self.loss = loss or LatentPredictionLoss()

    def forward(self, context: StepContext) -> Tensor:
        """Returns the loss of the masked tokens.

        Args:
            context: The batch.
        """
        pred = self.predict(context)
        loss: Tensor = self.loss(pred, context.teacher_tokens, context.idx_mask)
        return loss
