"""Prediction of histograms of oriented gradients, of masked and of visible tokens."""

from __future__ import annotations

from torch import Tensor

from lightly_marlin.loss import LatentPredictionLoss, histogram_dim
from lightly_marlin.models import LatentHead, MarlinConfig
from lightly_marlin.training.objectives.masked_prediction import MaskedPrediction
from lightly_marlin.training.objectives.objective import Objective
from lightly_marlin.training.objectives.step_context import StepContext

__all__ = ["Histograms", "VisibleHistograms"]


def _loss() -> LatentPredictionLoss:
    """Returns the mean squared error; histograms are normalised by cell already."""
    return LatentPredictionLoss("mse", normalize_target=False)


class Histograms(MaskedPrediction):
    """Loss between predicted and true histograms (HOG) of the masked tokens.

    MaskFeat's [0].

    - [0]: MaskFeat, 2021, https://arxiv.org/abs/2112.09133

    Args:
        config: Sizes of the model.
        with_decoder: Whether to use the pixel decoder's tokens, see `MaskedPrediction`.
    """

    def __init__(self, config: MarlinConfig, *, with_decoder: bool) -> None:
        super().__init__(config, histogram_dim(), with_decoder=with_decoder)
        self.loss = _loss()

    def forward(self, context: StepContext) -> Tensor:
        """Returns the loss of the masked tokens.

        Args:
            context: The batch.
        """
        pred = self.predict(context)
        loss: Tensor = self.loss(pred, context.histograms, context.idx_mask)
        return loss


class VisibleHistograms(Objective):
    """Loss between the visible tokens' histograms and a linear layer's predictions.

    Nothing that is predicted is hidden, so the encoder learns to describe what it sees
    by gradients rather than by pixels. There is no decoder.

    Args:
        config: Sizes of the model.
    """

    def __init__(self, config: MarlinConfig) -> None:
        super().__init__()
        self.head = LatentHead(config.encoder_dim, histogram_dim())
        self.loss = _loss()

    def forward(self, context: StepContext) -> Tensor:
        """Returns the loss of the visible tokens.

        Args:
            context: The batch.
        """
        pred = self.head(context.visible)
        loss: Tensor = self.loss(pred, context.histograms, context.idx_keep)
        return loss
