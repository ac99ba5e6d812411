"""Metrics and progress of a pretraining run: CSV files, loggers and the bar."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import RichProgressBar
from pytorch_lightning.loggers import (
    CSVLogger,
    Logger,
    MLFlowLogger,
    TensorBoardLogger,
    WandbLogger,
)

from lightly_marlin.training.every_steps import EverySteps, is_due
from lightly_marlin.training.objectives.reporting import loss_columns
from lightly_marlin.training.run_folder import MetricsCsv, RunFolder
from lightly_marlin.utils.console import console
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.metric_names import GRADIENT, RECONSTRUCTION

__all__ = [
    "METRICS_COLUMNS",
    "StepProgress",
    "WriteGradients",
    "WriteMetrics",
    "make_logger",
    "metrics_columns",
]


def metrics_columns(objectives: Iterable[str] = ()) -> tuple[str, ...]:
    """Returns the columns of metrics.csv.

    Args:
        objectives: Names of the objectives; MARLIN's own always have their columns.
    """
    return ("step", *loss_columns(objectives), "lr", "clips_per_second")


METRICS_COLUMNS = metrics_columns()

_LOGGERS: dict[str, Callable[[Path], Logger]] = {
    "tensorboard": lambda out: TensorBoardLogger(out, name="", version="tensorboard"),
    "csv": lambda out: CSVLogger(out, name="", version="csv"),
    "wandb": lambda out: WandbLogger(out.name, out, project="lightly_marlin"),
    "mlflow": lambda out: MLFlowLogger("lightly_marlin", out.name, save_dir=str(out)),
}


def make_logger(name: str, out: Path) -> Logger | None:
    """Returns one of Lightning's loggers, which writes into the folder of a run.

    Args:
        name: "tensorboard", "csv", "wandb", "mlflow" or "none".
        out: Folder of the run.

    Raises:
        UsageError: If the logger's package is not installed.
    """
    if name == "none":
        return None
    try:
        return _LOGGERS[name](out)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"The logger {name} needs a package that is not installed. Install it "
            f"with: pip install {name}"
        ) from error


class WriteMetrics(EverySteps):
    """Writes every n-th step's metrics to metrics.csv, and logs the clips per second.

    The module logs the other columns, by `self.log` in its training step.

    Args:
        folder: Folder of the run.
        clips_per_step: Clips of one step over all devices.
        every: Steps between two rows.
        columns: Columns of the file; the first is "step", the last
            "clips_per_second".
    """

    def __init__(
        self,
        folder: RunFolder,
        clips_per_step: int,
        every: int,
        columns: Sequence[str] = METRICS_COLUMNS,
    ) -> None:
        super().__init__(every)
        self.csv = MetricsCsv(folder.metrics, columns)
        self.clips_per_step = clips_per_step
        self._last_time = 0.0
        self._last_step = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Drops rows of a killed run that are going to be written again."""
        if trainer.is_global_zero:
            self.csv.truncate(trainer.global_step)
        self._last_time, self._last_step = time.perf_counter(), trainer.global_step

    def on_due(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes a row."""
        # Reading the losses makes the host wait for the device: before the clock.
        metrics = trainer.callback_metrics
        row = {name: float(metrics[name]) for name in self.csv.columns[1:-1]}
        step, now = trainer.global_step, time.perf_counter()
        steps = step - self._last_step
        rate = steps * self.clips_per_step / (now - self._last_time)
        self._last_time, self._last_step = now, step
        pl_module.log("clips_per_second", rate)
        if trainer.is_global_zero:
            self.csv.append({"step": step, **row, "clips_per_second": rate})


class WriteGradients(EverySteps):
    """Writes the norms that the module logged in this step to gradients.csv.

    Args:
        path: The file; its folder exists.
        objectives: Names of the objectives.
        every: Steps between two rows.
    """

    def __init__(self, path: Path, objectives: Iterable[str], every: int) -> None:
        super().__init__(every)
        columns = [f"{GRADIENT}{name}" for name in objectives]
        self.csv = MetricsCsv(path, ["step", *columns])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Drops rows of a killed run that are going to be written again."""
        if trainer.is_global_zero:
            self.csv.truncate(trainer.global_step)

    def on_due(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes a row."""
        if trainer.is_global_zero:
            metrics = trainer.callback_metrics
            row = {name: float(metrics[name]) for name in self.csv.columns[1:]}
            self.csv.append({"step": trainer.global_step, **row})


class StepProgress(RichProgressBar):
    """Lightning's bar over all steps of the training; lines where no terminal is.

    Args:
        every: Steps between two looks at the loss.
        loss: Name of the loss, as the module logs it.
    """

    def __init__(self, every: int, loss: str = RECONSTRUCTION) -> None:
        super().__init__(refresh_rate=4 if console.is_terminal else 0, leave=True)
        self.loss = loss
        self.every = every
        self._shown: dict[str, int | str | float | dict[str, float]] = {}

    @property
    def total_train_batches(self) -> int:
        """The steps of the training; its clips never end."""
        return self.trainer.max_steps

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Returns the loss at the last look at it."""
        return self._shown

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Moves the bar, or prints a line when it is due."""
        step = trainer.global_step
        # Reading the loss makes the host wait for the device: not at every step.
        if is_due(trainer, self.every):
            loss = float(trainer.callback_metrics[self.loss])
            self._shown = {"loss": f"{loss:.4f}"}
            if trainer.is_global_zero and not console.is_terminal:
                name = self.loss.removeprefix("loss/")
                text = f"step {step}/{trainer.max_steps}, {name} {loss:.5f}"
                console.print(text)
        # A resumed training does not begin at 0, as the number of the batch may.
        super().on_train_batch_end(trainer, pl_module, outputs, batch, step - 1)

    def _get_train_description(self, current_epoch: int) -> str:
        return "training"
