"""Agreement of a clip's visible part with the teacher's view of it as an objective."""

from __future__ import annotations

from torch import Tensor

from lightly_marlin.loss import InstanceDiscriminationLoss
from lightly_marlin.models import EmaTeacher, InstanceHead, MarlinConfig
from lightly_marlin.training.objectives.objective import Objective
from lightly_marlin.training.objectives.step_context import StepContext

__all__ = ["Instance"]


class Instance(Objective):
    """Cosine loss between the mean visible token and the mean token of the teacher.

    In the manner of FSFM: projector and predictor on the trained side, an exponential
    moving average of the projector on the teacher's, and no second augmentation.

    Args:
        config: Sizes of the model.
        hidden_dim: Width of the heads' hidden layer.
        output_dim: Width of what is compared.
    """

    needs_teacher = True

    def __init__(
        self, config: MarlinConfig, hidden_dim: int = 4096, output_dim: int = 256
    ) -> None:
        super().__init__()
        self.projector = InstanceHead(config.encoder_dim, hidden_dim, output_dim)
        self.predictor = InstanceHead(output_dim, hidden_dim, output_dim)
        self.target_projector = EmaTeacher(self.projector)
        self.loss = InstanceDiscriminationLoss()

    def forward(self, context: StepContext) -> Tensor:
        """Returns half the negative cosine similarity, in [-0.5, 0.5].

        Args:
            context: The batch.
        """
        online = self.predictor(self.projector(context.pooled))
        target = self.target_projector(context.teacher_tokens.mean(dim=1))
        loss: Tensor = self.loss(online, target)
        return loss

    def after_update(self, momentum: float) -> None:
        """Moves the target's projector towards the trained one.

        Args:
            momentum: Momentum of the teacher in [0, 1].
        """
        self.target_projector.update(self.projector, momentum)
