"""What a pretraining run shows and leaves behind while it trains."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pytorch_lightning import Callback, LightningModule, Trainer
from rich.progress import Progress, TaskID

from lightly_marlin.training.metrics_csv import MetricsCsv
from lightly_marlin.training.run_folder import RunFolder
from lightly_marlin.utils.console import console, progress

if TYPE_CHECKING:
    from lightly_marlin.models import Marlin

__all__ = ["METRICS_COLUMNS", "SaveRun", "StepProgress", "WriteMetrics"]

METRICS_COLUMNS = (
    "step",
    "loss/reconstruction",
    "loss/generator_adversarial",
    "loss/discriminator",
    "lr",
    "clips_per_second",
)


class WriteMetrics(Callback):
    """Writes every n-th step's metrics to metrics.csv and to the trainer's loggers.

    The training step returns a dict with the loss columns and "lr".

    Args:
        folder: Folder of the run.
        clips_per_step: Clips of one step over all devices.
        every: Steps between two rows.
    """

    def __init__(self, folder: RunFolder, clips_per_step: int, every: int) -> None:
        self.csv = MetricsCsv(folder.metrics, METRICS_COLUMNS)
        self.clips_per_step = clips_per_step
        self.every = every
        self._last_time = 0.0
        self._last_step = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Drops rows of a killed run that are going to be written again."""
        if trainer.is_global_zero:
            self.csv.truncate(trainer.global_step)
        self._last_time, self._last_step = time.perf_counter(), trainer.global_step

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Writes a row when it is due."""
        step = trainer.global_step
        if step % self.every and step != trainer.max_steps:
            return
        now = time.perf_counter()
        steps = step - self._last_step
        row = {name: float(outputs[name]) for name in METRICS_COLUMNS[1:-1]}
        rate = steps * self.clips_per_step / (now - self._last_time)
        row["clips_per_second"] = rate
        self._last_time, self._last_step = now, step
        if trainer.is_global_zero:
            self.csv.append({"step": step, **row})
        for logger in trainer.loggers:
            logger.log_metrics(row, step=step)


class StepProgress(Callback):
    """Shows step, losses, rate and remaining time; lines instead where no terminal.

    Args:
        every: Steps between two looks at the loss.
    """

    def __init__(self, every: int) -> None:
        self.every = every
        self._progress: Progress | None = None
        self._task = TaskID(0)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the bar."""
        if not trainer.is_global_zero:
            return
        self._progress = progress()
        self._progress.start()
        self._task = self._progress.add_task(
            "training",
            total=trainer.max_steps,
            completed=trainer.global_step,
            unit="steps",
        )

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Moves the bar, or prints a line when it is due."""
        if self._progress is None:
            return
        step = trainer.global_step
        self._progress.update(self._task, completed=step)
        if step % self.every and step != trainer.max_steps:
            return
        # Reading the loss makes the host wait for the device: not at every step.
        loss = float(outputs["loss/reconstruction"])
        if console.is_terminal:
            self._progress.update(self._task, description=f"training, loss {loss:.4f}")
        else:
            console.print(f"step {step}/{trainer.max_steps}, reconstruction {loss:.5f}")

    def teardown(
        self, trainer: Trainer, pl_module: LightningModule, stage: str
    ) -> None:
        """Stops the bar, also after an error."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


class SaveRun(Callback):
    """Saves the training state and the weights every n steps and at the end.

    Args:
        folder: Folder of the run.
        model: The model whose weights go to `folder.model`.
        every: Steps between two checkpoints.
    """

    def __init__(self, folder: RunFolder, model: Marlin, every: int) -> None:
        self.folder = folder
        self.model = model
        self.every = every
        self._saved_step = -1

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Saves when it is due."""
        if trainer.global_step % self.every == 0:
            self._save(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves the end state."""
        self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        if trainer.global_step == self._saved_step:
            return
        # The trainer's own way crosses from the folder of temporary files, which may
        # be on another disk; a rename beside is whole or nothing.
        beside = self.folder.checkpoint.with_name(".last-unfinished.ckpt")
        trainer.save_checkpoint(beside)
        if trainer.is_global_zero:
            beside.replace(self.folder.checkpoint)
            self.model.save_pretrained(self.folder.model)
        self._saved_step = trainer.global_step
