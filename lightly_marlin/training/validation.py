"""How well a model reconstructs held-out clips, as numbers and pictures."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lightly_marlin.loss import MarlinReconstructionLoss
from lightly_marlin.models import Marlin
from lightly_marlin.training.baseline import mean_color_loss
from lightly_marlin.training.metrics_csv import MetricsCsv
from lightly_marlin.training.run_folder import RunFolder
from lightly_marlin.transforms import BatchMasking
from lightly_marlin.utils.files import atomic_write
from lightly_marlin.visualization import reconstruction_sheet

__all__ = ["VALIDATION_COLUMNS", "Validation", "reconstruct_clips"]

VALIDATION_COLUMNS = ("step", "loss/reconstruction", "loss/mean_color", "ratio")

_PICTURED_CLIPS = 2


class Validation(Callback):
    """Reconstructs the same held-out clips with the same masks every n steps.

    Writes a row of validation.csv (the loss, that of predicting each clip's mean
    colour, and their ratio) and a picture reconstructions/step_*.png.

    Args:
        folder: Folder of the run.
        model: The model to validate.
        clips: Data set with "video" and "regions", the same clips at every pass.
        masking: Draws the masks; that of a mixture with the shares it begins with.
        batch_size: Clips of one forward.
        every: Steps between two validations; the last step is always validated.
    """

    def __init__(
        self,
        folder: RunFolder,
        model: Marlin,
        clips: Dataset[Any],
        masking: BatchMasking,
        *,
        batch_size: int,
        every: int,
    ) -> None:
        self.folder = folder
        self.model = model
        self.loader = DataLoader(clips, batch_size=batch_size)
        self.masking = masking
        self.every = every
        self.csv = MetricsCsv(folder.validation, VALIDATION_COLUMNS)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Drops rows of a killed run that are going to be written again."""
        if trainer.is_global_zero:
            self.csv.truncate(trainer.global_step)

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Validates when it is due."""
        step = trainer.global_step
        due = step % self.every == 0 or step == trainer.max_steps
        if due and trainer.is_global_zero:
            with trainer.precision_plugin.forward_context():
                row = self._validate(step, pl_module.device)
            self.csv.append({"step": step, **row})
            for logger in trainer.loggers:
                logged = {f"held_out/{name}": value for name, value in row.items()}
                logger.log_metrics(logged, step=step)

    def _validate(self, step: int, device: torch.device) -> dict[str, float]:
        self.model.eval()
        losses, baselines, sizes = [], [], []
        for number, batch in enumerate(self.loader):
            videos, cells = batch["video"].to(device), batch["regions"].to(device)
            idx_mask, pred, loss = reconstruct_clips(
                self.model, videos, *self.masking(cells, number, videos=videos)
            )
            losses.append(float(loss))
            baselines.append(float(_mean_color_loss(self.model, videos, idx_mask)))
            sizes.append(len(videos))
            if number == 0:
                self._draw(step, videos, idx_mask, pred, cells)
        self.model.train()
        weights = torch.tensor(sizes, dtype=torch.float64) / sum(sizes)
        loss_mean = float(weights @ torch.tensor(losses, dtype=torch.float64))
        baseline = float(weights @ torch.tensor(baselines, dtype=torch.float64))
        return {
            "loss/reconstruction": loss_mean,
            "loss/mean_color": baseline,
            "ratio": loss_mean / baseline if baseline > 0 else float("nan"),
        }

    def _draw(
        self,
        step: int,
        videos: Tensor,
        idx_mask: Tensor,
        pred: Tensor,
        cells: Tensor,
    ) -> None:
        first = slice(_PICTURED_CLIPS)
        sheet = reconstruction_sheet(
            videos[first],
            idx_mask[first],
            pred[first],
            cells[first],
            tubelet_size=self.model.config.tubelet_size,
            patch_size=self.model.config.patch_size,
        )
        with atomic_write(self.folder.pictures / f"step_{step:07d}.png") as path:
            sheet.save(path)


@torch.no_grad()
def reconstruct_clips(
    model: Marlin, videos: Tensor, idx_keep: Tensor, idx_mask: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Predicts the masked tokens of clips.

    Args:
        model: The model, in the mode it is in.
        videos: Clips (B, 3, T, H, W), uint8 or floating point.
        idx_keep: int64 indices of the visible tokens.
        idx_mask: int64 indices of the masked tokens.

    Returns:
        idx_mask, the predicted pixels (B, n_mask, P), and the mean squared error.
    """
    pred = model(videos, idx_keep, idx_mask)
    config = model.config
    criterion = MarlinReconstructionLoss(
        tubelet_size=config.tubelet_size, patch_size=config.patch_size
    )
    return idx_mask, pred, criterion(pred, videos, idx_mask)


def _mean_color_loss(model: Marlin, videos: Tensor, idx_mask: Tensor) -> Tensor:
    config = model.config
    return mean_color_loss(
        videos,
        idx_mask,
        tubelet_size=config.tubelet_size,
        patch_size=config.patch_size,
    )
