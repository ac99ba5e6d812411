"""Base class of the terms of the pretraining loss."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from torch import Tensor, nn

from lightly_marlin.models import EmaTeacher
from lightly_marlin.training.objectives.step_context import StepContext

__all__ = ["Objective", "teacher_for"]


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


def teacher_for(
    objectives: Iterable[nn.Module],
    encoder: nn.Module,
    teacher: EmaTeacher | None = None,
) -> EmaTeacher | None:
    """Returns a teacher whose call returns tokens; None if no objective needs one.

    Args:
        objectives: The objectives of a step.
        encoder: The student, whose `encode` returns tokens.
        teacher: The teacher if there is one already; a new one is made without it.
    """
    if not any(isinstance(o, Objective) and o.needs_teacher for o in objectives):
        return None
    return EmaTeacher(encoder, method="encode") if teacher is None else teacher
