"""Files of a fine-tuning: metrics.csv, the best checkpoint and the last one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint

from lightly_marlin.evaluation.metrics.metrics import higher_is_better
from lightly_marlin.training.checkpoint import check_checkpoint
from lightly_marlin.training.run_folder import MetricsCsv, RunFolder
from lightly_marlin.utils.console import console

__all__ = ["FinetuneFiles", "best_checkpoint", "load_best", "metrics_columns"]


def metrics_columns(primary: str) -> tuple[str, ...]:
    """Returns the columns of metrics.csv.

    Args:
        primary: Name of the primary metric.
    """
    return (
        "step",
        "epoch",
        "loss/objective",
        "loss/train",
        "loss/val",
        f"{primary}/train",
        f"{primary}/val",
        "lr",
    )


def best_checkpoint(folder: RunFolder) -> Path:
    """Returns the path of the best checkpoint of a run."""
    return folder.checkpoint.with_name("best.ckpt")


def load_best(folder: RunFolder, module: LightningModule) -> dict[str, float]:
    """Loads the weights of the best epoch of a run.

    Args:
        folder: Folder of the run.
        module: The module that was trained.

    Returns:
        "epoch", counted from 1, and what was measured on validation.

    Raises:
        UsageError: If the checkpoint cannot be read or does not fit.
    """
    path = best_checkpoint(folder)
    check_checkpoint(path, module)
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    module.load_state_dict(checkpoint["state_dict"])
    step = int(checkpoint["global_step"])
    rows = MetricsCsv(folder.metrics, ("step",)).rows()
    row = next((row for row in rows if int(row["step"]) == step), {})
    return {
        name: float(value)
        for name, value in row.items()
        if name == "epoch" or name.endswith("/val")
    }


class FinetuneFiles(Checkpoint):
    """Writes a row of metrics and the checkpoints after every epoch.

    The best epoch is that of the best primary metric on the validation items; of equal
    ones that of the least loss, the earliest first. The trainer's checkpoint plugin
    should be `RunCheckpointIO`, which writes files whole or not at all.

    Args:
        folder: Folder of the run.
        primary: Name of the primary metric.
    """

    def __init__(self, folder: RunFolder, primary: str) -> None:
        super().__init__()
        self.folder = folder
        self.primary = primary
        self.csv = MetricsCsv(folder.metrics, metrics_columns(primary))
        self.best: dict[str, float] = {}

    def state_dict(self) -> dict[str, Any]:
        """Returns the best epoch so far, for a resume."""
        return {"best": dict(self.best)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over the best epoch of the training that is resumed."""
        self.best = dict(state_dict["best"])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Drops rows of a killed run that are going to be written again."""
        if trainer.is_global_zero:
            self.csv.truncate(trainer.global_step)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes the row of an epoch, and the checkpoints."""
        logged = trainer.callback_metrics
        row: dict[str, float] = {
            "step": trainer.global_step,
            "epoch": trainer.current_epoch + 1,
        }
        # Columns from the third on are logged by the module.
        row |= {name: float(logged[name]) for name in self.csv.columns[2:]}
        is_best = not self.best or self._rank(row) > self._rank(self.best)
        if is_best:
            self.best = row
        if trainer.is_global_zero:
            self.csv.append(row)
            self._show(row, trainer.max_epochs or 0, is_best)
        if is_best:
            best = best_checkpoint(self.folder)
            trainer.save_checkpoint(best, weights_only=True)
        trainer.save_checkpoint(self.folder.checkpoint)

    def _rank(self, row: dict[str, float]) -> tuple[float, float]:
        value = row[f"{self.primary}/val"]
        if not higher_is_better(self.primary):
            value = -value
        # Undefined, as the AUC of items that are all alike: the loss decides.
        return (-math.inf if math.isnan(value) else value), -row["loss/val"]

    def _show(self, row: dict[str, float], epochs: int, is_best: bool) -> None:
        parts = [
            f"{name} train {row[f'{name}/train']:.4f} val {row[f'{name}/val']:.4f}"
            for name in ("loss", self.primary)
        ]
        text = f"epoch {row['epoch']:.0f}/{epochs}  {'  '.join(parts)}"
        console.print(text + ("  best" if is_best else ""), soft_wrap=True)
