"""Callback that is due every n steps and after the last one."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

__all__ = ["EverySteps", "is_due"]


class EverySteps(Callback):
    """Callback that acts every n steps, and after the last step of all epochs.

    Args:
        every: Steps between two actions.
    """

    def __init__(self, every: int) -> None:
        self.every = every
        self._before = 0

    @abstractmethod
    def on_due(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Acts; called in every process.

        Args:
            trainer: The trainer; its `global_step` counts the steps done.
            pl_module: The module in training.
        """

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Notes the step."""
        self._before = trainer.global_step

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Acts when it is due."""
        # Of batches whose gradients accumulate, only the last one ends a step.
        if trainer.global_step > self._before and is_due(trainer, self.every):
            self.on_due(trainer, pl_module)


def is_due(trainer: Trainer, every: int, step: int | None = None) -> bool:
    """Returns whether a step is an n-th one or the last.

    Args:
        trainer: The trainer.
        every: The n.
        step: Number of the step, from 1: within a step, that of the trainer's count
            after it; None for the step that was just done.
    """
    step = trainer.global_step if step is None else step
    ends = trainer.is_last_batch and trainer.current_epoch + 1 == trainer.max_epochs
    return step % every == 0 or step == trainer.max_steps or ends
