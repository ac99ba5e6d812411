"""Contrast of two clips of each track as an objective."""

from __future__ import annotations

from lightly.models.modules.heads import SimCLRProjectionHead
from torch import Tensor

from lightly_marlin.loss import ClipContrastLoss
from lightly_marlin.models import MarlinConfig
from lightly_marlin.training.objectives.objective import Objective
from lightly_marlin.training.objectives.step_context import StepContext

__all__ = ["ClipContrast"]


class ClipContrast(Objective):
    """NT-Xent loss between the mean visible tokens of two clips of each track.

    Both clips are masked. Two clips of a track share background, light and identity:
    this learns to tell recordings apart, which helps to recognise people and not
    expressions. Give it a small weight.

    Args:
        config: Sizes of the model.
        output_dim: Width of what is compared.
        temperature: Temperature of the softmax.
        gather_distributed: Whether the clips of all processes are negatives.
    """

    needs = frozenset({"video_b", "idx_keep_b"})

    def __init__(
        self,
        config: MarlinConfig,
        output_dim: int = 128,
        temperature: float = 0.2,
        *,
        gather_distributed: bool = False,
    ) -> None:
        super().__init__()
        self.projector = SimCLRProjectionHead(
            config.encoder_dim, config.encoder_dim, output_dim, batch_norm=False
        )
        self.loss = ClipContrastLoss(
            temperature=temperature, gather_distributed=gather_distributed
        )

    def forward(self, context: StepContext) -> Tensor:
        """Returns the loss; log(2 B - 1) is chance.

        Args:
            context: The batch.
        """
        loss: Tensor = self.loss(
            self.projector(context.pooled), self.projector(context.pooled_b)
        )
        return loss
