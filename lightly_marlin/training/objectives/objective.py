"""Base class of the terms of the pretraining loss."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from torch import Tensor, nn

from lightly_marlin.training.objectives.step_context import StepContext

__all__ = ["Objective", "needs_teacher"]


class Objective(nn.Module):
    """A term of the loss, with its own heads.

    It takes tokens from the `StepContext` and never runs the encoder itself, so that
    each forward pass happens once whatever the objectives are. It does not ask which
    mask was drawn.

    Attributes:
        needs: Keys of the batch beside "video".
        needs_teacher: Whether it takes the teacher's tokens.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    needs_teacher: ClassVar[bool] = False

    def prepare(self, context: StepContext) -> dict[str, Tensor]:
        """Makes updates of its own before the losses are computed.

        Args:
            context: The batch.

        Returns:
            Detached scalars to report, by name.
        """
        del context
        return {}

    def forward(self, context: StepContext) -> Tensor:
        """Returns the loss of the batch: float32 scalar, unweighted.

        Args:
            context: The batch.
        """
        raise NotImplementedError

    def after_update(self, momentum: float) -> None:
        """Follows the model after the optimizer's step.

        Args:
            momentum: Momentum of the teacher in [0, 1].
        """
        del momentum


def needs_teacher(objectives: Iterable[nn.Module]) -> bool:
    """Returns whether an objective takes the tokens of a teacher.

    Args:
        objectives: The objectives of a step.
    """
    return any(isinstance(o, Objective) and o.needs_teacher for o in objectives)
