"""MARLIN in PyTorch Lightning on several devices.

    pip install ".[train]"
    python recipes/marlin_distributed.py --store STORE --devices 2 --out run_distributed

What marlin_lightning.py does, in as many processes as there are devices (GPUs, or CPU
cores where there is none). Three things make it right: every process reads its own
clips (`rank` and `world_size` of the sampler, and no sampler of the trainer's), draws
its own masks (a generator seeded by step and rank), and starts from the same weights.
--batch-size is per device. Departs from MARLIN as marlin_lightning.py does. RUN/model
is for `Marlin.from_pretrained`.

- [0]: MARLIN, 2023, https://arxiv.org/abs/2211.06627
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from lightly_marlin.data import FaceClip, FaceClips, ResumableClipSampler
from lightly_marlin.demo import open_store
from lightly_marlin.loss import MarlinReconstructionLoss
from lightly_marlin.models import create_marlin
from lightly_marlin.training import LoopOptions, parse_loop_options
from lightly_marlin.transforms import RegionCells, fasking_token_mask
from lightly_marlin.utils.console import console, run_recipe
from lightly_marlin.utils.errors import UsageError


class Pretraining(pl.LightningModule):
    """A masked autoencoder of clips."""

    def __init__(self, options: LoopOptions, clips: FaceClips) -> None:
        super().__init__()
        self.options = options
        self.clips = clips
        self.model = create_marlin("marlin_vit_tiny")
        self.criterion = MarlinReconstructionLoss()

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Returns the loss of the masked tokens."""
        step = self.trainer.global_step * self.trainer.world_size + self.global_rank
        generator = torch.Generator().manual_seed(self.options.seed + step)
        idx_keep, idx_mask = fasking_token_mask(
            RegionCells(batch["regions"]), generator=generator
        )
        pred = self.model(batch["video"], idx_keep, idx_mask)
        loss: Tensor = self.criterion(pred, batch["video"], idx_mask)
        self.log("loss", loss, sync_dist=True)
        return loss

    def configure_optimizers(self) -> Optimizer:
        """Returns AdamW as MARLIN has it."""
        return torch.optim.AdamW(
            self.parameters(), self.options.learning_rate, (0.9, 0.95), weight_decay=0
        )

    def train_dataloader(self) -> DataLoader[FaceClip]:
        """Returns the clips of this process."""
        sampler = ResumableClipSampler(
            self.clips,
            seed=self.options.seed,
            rank=self.global_rank,
            world_size=self.trainer.world_size,
        )
        return DataLoader(self.clips, self.options.batch_size, sampler=sampler)


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains as the command line says; returns the exit status."""
    options = parse_loop_options(
        "Train MARLIN in PyTorch Lightning on several devices.",
        arguments,
        max_steps=300,
        batch_size=2,
        learning_rate=1e-3,
        out="run_distributed",
        devices=True,
    )
    available = torch.cuda.device_count() or os.cpu_count() or 1
    if options.devices > available:
        raise UsageError(
            f"{options.devices} devices are asked for, but there are {available}. "
            "Lower --devices."
        )
    out = options.make_out()
    pl.seed_everything(options.seed, verbose=False)
    clips = FaceClips(open_store(options.store), seed=options.seed)
    module = Pretraining(options, clips)
    trainer = pl.Trainer(
        max_steps=options.max_steps,
        accelerator="auto",
        devices=options.devices,
        strategy="ddp" if options.devices > 1 else "auto",
        use_distributed_sampler=False,
        logger=CSVLogger(out, name="", version=""),
        log_every_n_steps=min(10, options.max_steps),
        default_root_dir=out,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=console.is_terminal,
    )
    trainer.fit(module)
    if trainer.is_global_zero:
        module.model.save_pretrained(out / "model")
        console.print(f"metrics in {out / 'metrics.csv'}, weights in model/")
    return 0


if __name__ == "__main__":
    sys.exit(run_recipe(main, "train"))
