"""Callback that is due every n steps and after the last one."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

__all__ = ["EverySteps", "is_due"]


class EverySteps(Callback):
    """Callback that acts every n steps, and after the last step.

    Args:
        every: Steps between two actions.
    """

    def __init__(self, every: int) -> None:
        self.every = every

    @abstractmethod
    def on_due(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Acts; called in every process.

        Args:
            trainer: The trainer; its `global_step` counts the steps done.
            pl_module: The module in training.
        """

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Acts when it is due."""
        if is_due(trainer, self.every):
            self.on_due(trainer, pl_module)


def is_due(trainer: Trainer, every: int) -> bool:
    """Returns whether the step that was just done is an n-th one or the last.

    Args:
        trainer: The trainer.
        every: The n.
    """
    step = trainer.global_step
    return step % every == 0 or step == trainer.max_steps
