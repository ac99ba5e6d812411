"""Callback that measures an encoder while it trains, and leaves the training alone."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

from pytorch_lightning import LightningModule, Trainer

from lightly_marlin.evaluation.random_state import preserved_random_state
from lightly_marlin.models import MarlinEncoder
from lightly_marlin.training.every_steps import EverySteps
from lightly_marlin.training.run_folder import MetricsCsv

__all__ = ["EncoderMonitor"]


class EncoderMonitor(EverySteps):
    """Measures an encoder before, every n steps and at the end, into a CSV file.

    It works in any module that trains the encoder, and leaves the training
    bit-identical: it draws from no generator of the training and changes no state. The
    numbers go to the loggers as well. The first process measures, and others wait for
    it: with several devices, it must take less than the time limit of their
    collectives.

    Args:
        path: The CSV file.
        columns: Its columns; the first is "step".
        encoder: Encoder that is being trained.
        every: Steps between two rows.
    """

    name: str
    """Name of the monitor, which begins the names that loggers get: "name/column"."""

    def __init__(
        self,
        path: Path | str,
        columns: Sequence[str],
        encoder: MarlinEncoder,
        *,
        every: int,
    ) -> None:
        super().__init__(every)
        self.csv = MetricsCsv(Path(path), columns)
        self.encoder = encoder

    @abstractmethod
    def compute(self) -> dict[str, float]:
        """Returns the columns but for the step, of an encoder with finite weights."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Drops rows that a resumed run writes again; measures the initial weights.

        At step 0 these are random, unless the training starts from a checkpoint: the
        baseline of all later rows.
        """
        step = trainer.global_step
        if trainer.is_global_zero:
            # A run that was killed before its first checkpoint begins at 0 again.
            self.csv.truncate(step if step > 0 else -1)
        if step == 0:
            self.on_due(trainer, pl_module)

    def on_due(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measures."""
        step = trainer.global_step
        if trainer.is_global_zero:
            row = self.measure()
            self.csv.append({"step": step, **row})
            logged = {f"{self.name}/{name}": value for name, value in row.items()}
            for logger in trainer.loggers:
                logger.log_metrics(logged, step=step)
        # The others wait; for a collective, NCCL waits 10 minutes by default.
        trainer.strategy.barrier(self.name)

    def measure(self) -> dict[str, float]:
        """Returns the columns but for the step.

        They are NaN once weights are not finite: a training that diverges is not ended
        by its monitor.
        """
        if not all(weight.isfinite().all() for weight in self.encoder.parameters()):
            return dict.fromkeys(self.csv.columns[1:], float("nan"))
        with preserved_random_state(self.encoder):
            return self.compute()
