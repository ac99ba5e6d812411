"""Training of a sync expert in Lightning, and its validation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from lightly_marlin.lip_sync.losses.sync_loss import cosine_bce
from lightly_marlin.lip_sync.networks.sync_expert import SyncExpert
from lightly_marlin.lip_sync.pairs.pair_scores import score_pairs
from lightly_marlin.lip_sync.pairs.sync_data import (
    FixedSyncPairs,
    PairSampler,
    SyncItem,
    SyncPairs,
)
from lightly_marlin.training import WarmupCosine
from lightly_marlin.training.every_steps import EverySteps
from lightly_marlin.training.run_folder import MetricsCsv

__all__ = ["METRICS_COLUMNS", "VALIDATION_COLUMNS", "SyncTraining", "SyncValidation"]

METRICS_COLUMNS = ("step", "loss", "accuracy", "lr", "clips_per_second")
VALIDATION_COLUMNS = ("step", "loss", "accuracy")


class SyncTraining(pl.LightningModule):
    """Trains an expert on the binary cross-entropy of its cosines [0], by AdamW.

    The learning rate falls like a cosine, from its peak to 0 at the last step. A batch
    depends on the seed and the number of its step alone: a training that resumes from
    a checkpoint ends as one without interruption, on the same kind of machine.

    - [0]: A Lip Sync Expert Is All You Need for Speech to Lip Generation In the Wild,
      2020, https://arxiv.org/abs/2008.10010

    Args:
        expert: The expert.
        pairs: Pairs of the training tracks.
        batch_size: Pairs of a step, even: half of them are in sync.
        learning_rate: Peak learning rate.
        max_steps: Length of the training in steps.
        workers: Processes that read pairs.

    Raises:
        ValueError: If the batch size is not even.
    """

    def __init__(
        self,
        expert: SyncExpert,
        pairs: SyncPairs,
        *,
        batch_size: int,
        learning_rate: float,
        max_steps: int,
        workers: int = 0,
    ) -> None:
        super().__init__()
        if batch_size < 2 or batch_size % 2:
            raise ValueError(
                f"Invalid batch_size {batch_size}: must be even, as half of the pairs "
                "are in sync, and at least 2."
            )
        self.expert = expert
        self.pairs = pairs
        self.batch_size = batch_size
        self.workers = workers
        self.schedule = WarmupCosine(learning_rate, 0.0, 0, max_steps)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Returns the optimizer, and the schedule of its learning rate."""
        # A scheduler multiplies: the schedule's rate is the factor.
        optimizer = AdamW(self.expert.parameters(), lr=1.0)
        scheduler = LambdaLR(optimizer, self.schedule)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def train_dataloader(self) -> DataLoader[SyncItem]:
        """Returns the pairs from the step on at which the training stands."""
        done = self.trainer.global_step * self.batch_size
        sampler = PairSampler(len(self.pairs), seed=self.pairs.seed, start_sample=done)
        return DataLoader(
            self.pairs,
            batch_size=self.batch_size,
            sampler=sampler,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], _: int) -> Tensor:
        """Returns the loss of a batch; logs it with accuracy and learning rate."""
        frames, mel, in_sync = batch
        similarity = self.expert.similarity(*self.expert(frames, mel))
        loss = cosine_bce(similarity, in_sync)
        accuracy = ((similarity > 0.5) == in_sync).float().mean()
        rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        logged = {"loss": loss.detach(), "accuracy": accuracy, "lr": rate}
        self.log_dict(logged, batch_size=len(frames))
        return loss


class SyncValidation(EverySteps):
    """Scores the expert on the same pairs every n steps, and saves it.

    Args:
        csv: The table of the scores.
        pairs: Pairs of tracks that are held out.
        expert: Folder that the expert is saved to.
        batch_size: Pairs that are read at once.
        every: Steps between two validations; the last step is always validated.
    """

    def __init__(
        self,
        csv: Path,
        pairs: FixedSyncPairs,
        expert: Path,
        *,
        batch_size: int,
        every: int,
    ) -> None:
        super().__init__(every)
        self.csv = MetricsCsv(csv, VALIDATION_COLUMNS)
        self.expert = expert
        self.loader = DataLoader(pairs, batch_size=batch_size)

    def on_train_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> None:
        """Drops rows of a killed run that are going to be written again."""
        self.csv.truncate(trainer.global_step)

    def on_due(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes a row, and the weights."""
        expert: Any = pl_module.expert
        with trainer.precision_plugin.forward_context():
            scores = score_pairs(expert, self._batches(pl_module.device))
        row = {"loss": scores.loss, "accuracy": scores.accuracy}
        self.csv.append({"step": trainer.global_step, **row})
        expert.save_pretrained(self.expert)

    def _batches(self, device: torch.device) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for frames, mel, in_sync in self.loader:
            yield frames.to(device), mel.to(device), in_sync
