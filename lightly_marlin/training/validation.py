"""Reconstruction of held-out clips, as numbers beside a baseline and as pictures."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from lightly_marlin.kernels import masked_reconstruction_loss
from lightly_marlin.loss import MarlinReconstructionLoss
from lightly_marlin.models import Marlin
from lightly_marlin.training.every_steps import EverySteps
from lightly_marlin.training.gradient_average import mean_over_processes
from lightly_marlin.training.objectives.step_context import ToPixels
from lightly_marlin.training.run_folder import MetricsCsv, RunFolder
from lightly_marlin.transforms import BatchMasking
from lightly_marlin.utils.files import atomic_write
from lightly_marlin.utils.metric_names import MEAN_COLOR, RECONSTRUCTION
from lightly_marlin.visualization import reconstruction_sheet

__all__ = ["VALIDATION_COLUMNS", "Validation", "mean_color_loss", "reconstruct_clips"]

VALIDATION_COLUMNS = ("step", RECONSTRUCTION, MEAN_COLOR, "ratio")

_PICTURED_CLIPS = 2


class Validation(EverySteps):
    """Reconstructs the same held-out clips with the same masks every n steps.

    Writes a row of validation.csv (the loss, that of predicting each clip's mean
    colour, and their ratio) and a picture reconstructions/step_*.png. The loss is the
    mean squared error of the masked pixels.

    Each process takes a share of the clips, as many as every other: models whose
    parameters are spread over the processes cannot predict in one of them alone. Masks
    are those of a clip's place in the data set, so the row is the same with any number
    of processes.

    Predictions of normalised pixels, of motion too, are scaled by the true mean and
    deviation of each token first: much of the answer is given, so the loss is
    comparable neither with the training loss, nor with the mean colour, nor with that
    of models that predict pixels. The row has no baseline then.

    Args:
        folder: Folder of the run.
        model: The model to validate.
        clips: Data set with "video" and "regions", the same clips at every pass; at
            least one.
        masking: Draws the masks; that of a mixture with the shares it begins with.
        batch_size: Clips of one forward.
        every: Steps between two validations; the last step is always validated.
        to_pixels: Turns predictions, clips and indices into pixels; None if the model
            predicts pixels, which alone are compared with the mean colour.
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
        to_pixels: ToPixels | None = None,
    ) -> None:
        super().__init__(every)
        self.to_pixels = to_pixels
        self.folder = folder
        self.model = model
        self.clips = clips
        self.num_clips = len(clips)  # type: ignore[arg-type]
        self.batch_size = batch_size
        self.masking = masking
        self.criterion = MarlinReconstructionLoss(
            tubelet_size=model.config.tubelet_size, patch_size=model.config.patch_size
        )
        columns = VALIDATION_COLUMNS if to_pixels is None else VALIDATION_COLUMNS[:2]
        self.csv = MetricsCsv(folder.validation, columns)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Drops rows of a killed run that are going to be written again."""
        if trainer.is_global_zero:
            self.csv.truncate(trainer.global_step)

    def on_due(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Validates."""
        step = trainer.global_step
        indices = _share(self.num_clips, trainer.global_rank, trainer.world_size)
        with trainer.precision_plugin.forward_context():
            sums = self._sums(indices, pl_module.device, trainer)
        if trainer.world_size > 1:
            sums = mean_over_processes(sums.to(pl_module.device))
        row = self._row(*sums.tolist())
        if trainer.is_global_zero:
            self.csv.append({"step": step, **row})
        # In all processes: `ModelCheckpoint(monitor="held_out/ratio")` compares.
        logged = {f"held_out/{name}": value for name, value in row.items()}
        pl_module.log_dict(logged, logger=False)
        # `log` would reach the loggers only if this step's metrics are due as well.
        for logger in trainer.loggers:
            logger.log_metrics(logged, step=step)

    def _sums(
        self, indices: list[int], device: torch.device, trainer: Trainer
    ) -> Tensor:
        """Returns sums over clips: loss, loss of the mean colour, number of clips.

        Args:
            indices: Clips of this process, with the last one again for what is missing
                at the end of the data set.
            device: Device of the model.
            trainer: The trainer.

        Returns:
            float64 tensor (3,) on the CPU.
        """
        self.model.eval()
        clips = Subset(self.clips, [min(i, self.num_clips - 1) for i in indices])
        sums = torch.zeros(3, dtype=torch.float64)
        done = 0
        for batch in DataLoader(clips, batch_size=self.batch_size):
            videos, cells = batch["video"].to(device), batch["regions"].to(device)
            places = torch.tensor(indices[done : done + len(videos)])
            idx_mask, pred, _ = reconstruct_clips(
                self.model,
                videos,
                *self.masking(cells, 0, places, videos),
                self.to_pixels,
            )
            if done == 0 and trainer.is_global_zero:
                self._draw(trainer.global_step, videos, idx_mask, pred, cells)
            count = int((places < self.num_clips).sum())
            if count > 0:
                videos, idx_mask = videos[:count], idx_mask[:count]
                loss = self.criterion(pred[:count], videos, idx_mask)
                color = mean_color_loss(videos, idx_mask, **self._sizes())
                sums += count * torch.tensor([float(loss), float(color), 1.0])
            done += len(places)
        self.model.train()
        return sums

    def _row(self, loss: float, color: float, count: float) -> dict[str, float]:
        """Returns the columns of the file but for the step."""
        row = {
            RECONSTRUCTION: loss / count,
            MEAN_COLOR: color / count,
            "ratio": loss / color if color > 0 else float("nan"),
        }
        return {name: row[name] for name in self.csv.columns[1:]}

    def _sizes(self) -> dict[str, int]:
        config = self.model.config
        return {"tubelet_size": config.tubelet_size, "patch_size": config.patch_size}

    def _draw(
        self,
        step: int,
        videos: Tensor,
        idx_mask: Tensor,
        pred: Tensor,
        cells: Tensor,
    ) -> None:
        self.folder.pictures.mkdir(exist_ok=True)
        first = slice(_PICTURED_CLIPS)
        sheet = reconstruction_sheet(
            videos[first],
            idx_mask[first],
            pred[first],
            cells[first],
            **self._sizes(),
        )
        with atomic_write(self.folder.pictures / f"step_{step:07d}.png") as path:
            sheet.save(path)


def _share(count: int, rank: int, world_size: int) -> list[int]:
    """Returns a process's places among `count` clips, and places after the last one.

    Every process has equally many, one after the other.
    """
    each = -(-count // world_size)
    return list(range(rank * each, (rank + 1) * each))


@torch.no_grad()
def reconstruct_clips(
    model: Marlin,
    videos: Tensor,
    idx_keep: Tensor,
    idx_mask: Tensor,
    to_pixels: ToPixels | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Predicts the masked tokens of clips.

    Args:
        model: The model, in the mode it is in.
        videos: Clips (B, 3, T, H, W), uint8 or floating point.
        idx_keep: int64 indices of the visible tokens.
        idx_mask: int64 indices of the masked tokens.
        to_pixels: Turns predictions, clips and indices into pixels; None if the model
            predicts pixels.

    Returns:
        idx_mask, the predicted pixels (B, n_mask, P), and the mean squared error.
    """
    pred = model(videos, idx_keep, idx_mask)
    if to_pixels is not None:
        pred = to_pixels(pred, videos, idx_mask)
    config = model.config
    criterion = MarlinReconstructionLoss(
        tubelet_size=config.tubelet_size, patch_size=config.patch_size
    )
    return idx_mask, pred, criterion(pred, videos, idx_mask)


def mean_color_loss(
    videos: Tensor, idx_mask: Tensor, *, tubelet_size: int = 2, patch_size: int = 16
) -> Tensor:
    """Returns the reconstruction loss of predicting each clip's mean colour.

    Args:
        videos:
            Tensor with shape (B, C, T, H, W), uint8 in [0, 255] or floating point in
            [0, 1].
        idx_mask: int64 indices of the masked tokens, (B, n_mask).
        tubelet_size: Frames per tubelet.
        patch_size: Side of a patch in pixels.

    Returns:
        float32 scalar: mean squared error of the masked tokens.
    """
    colors = videos.float().mean(dim=(2, 3, 4))
    if videos.dtype == torch.uint8:
        colors = colors / 255
    pixels = tubelet_size * patch_size**2
    pred = colors.repeat_interleave(pixels, dim=1)
    pred = pred.unsqueeze(1).expand(-1, idx_mask.shape[1], -1)
    return masked_reconstruction_loss(
        pred.contiguous(),
        videos,
        idx_mask,
        tubelet_size=tubelet_size,
        patch_size=patch_size,
    )
