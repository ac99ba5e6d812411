"""Base of objectives that predict features of the masked tokens."""

from __future__ import annotations

from torch import Tensor

from lightly_marlin.models import LatentHead, LatentPredictor, MarlinConfig
from lightly_marlin.training.objectives.objective import Objective
from lightly_marlin.training.objectives.step_context import StepContext

__all__ = ["MaskedPrediction"]


class MaskedPrediction(Objective):
    """Predictor of features of the masked tokens, from the visible ones.

    Beside an objective that decodes pixels, a second head on the decoder's tokens
    predicts them, which costs next to nothing; alone, a predictor of the decoder's size
    does, and the pixel decoder does not run.

    Args:
        config: Sizes of the model.
        out_dim: Width D of the features.
        with_decoder: Whether to use the pixel decoder's tokens.
    """

    def __init__(
        self, config: MarlinConfig, out_dim: int, *, with_decoder: bool
    ) -> None:
        super().__init__()
        self.with_decoder = with_decoder
        self.predictor = (
            LatentHead(config.decoder_dim, out_dim)
            if with_decoder
            else LatentPredictor(config, out_dim)
        )

    def predict(self, context: StepContext) -> Tensor:
        """Returns the predicted features (B, n_mask, D).

        Args:
            context: The batch.
        """
        pred: Tensor = (
            self.predictor(context.decoded)
            if self.with_decoder
            else self.predictor(context.visible, context.idx_keep, context.idx_mask)
        )
        return pred
