"""Prediction of a teacher's tokens at the masked positions as an objective."""

from __future__ import annotations

from torch import Tensor

from lightly_marlin.loss import LatentPredictionLoss
from lightly_marlin.models import LatentHead, LatentPredictor, MarlinConfig
from lightly_marlin.training.objectives.objective import Objective
from lightly_marlin.training.objectives.step_context import StepContext

__all__ = ["Latent"]


class Latent(Objective):
    """Loss between predicted and the teacher's tokens, in the manner of V-JEPA.

    Beside an objective that decodes pixels, a second head on the decoder's tokens
    predicts them, which costs next to nothing; alone, a predictor of the decoder's size
    does, and the pixel decoder does not run.

    Args:
        config: Sizes of the model.
        with_decoder: Whether to use the pixel decoder's tokens.
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
        super().__init__()
        self.with_decoder = with_decoder
        self.predictor = (
            LatentHead(config.decoder_dim, config.encoder_dim)
            if with_decoder
            else LatentPredictor(config)
        )
        self.loss = loss or LatentPredictionLoss()

    def forward(self, context: StepContext) -> Tensor:
        """Returns the loss of the masked tokens.

        Args:
            context: The batch.
        """
        if self.with_decoder:
            pred = self.predictor(context.decoded)
        else:
            pred = self.predictor(context.visible, context.idx_keep, context.idx_mask)
        loss: Tensor = self.loss(pred, context.teacher_tokens, context.idx_mask)
        return loss
