"""MARLIN in PyTorch Lightning, as small as it gets.

    pip install ".[train]"
    python recipes/marlin_lightning.py --store STORE --out run_lightning

Reconstruction with Fasking as a LightningModule with automatic optimisation: the
trainer's checkpoints, loggers, precision and callbacks all work. Departs from MARLIN in
having no critic, which needs manual optimisation (see pretrain_marlin.py for it, and
for resuming bit for bit), in a constant learning rate, and in its size. RUN/model is
for `Marlin.from_pretrained`.

- [0]: MARLIN, 2023, https://arxiv.org/abs/2211.06627
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger
from torch import Tensor
from torch.optim import Optimizer

from lightly_marlin.data import FaceClips, clip_loader
from lightly_marlin.demo import open_store
from lightly_marlin.loss import MarlinReconstructionLoss
from lightly_marlin.models import create_marlin
from lightly_marlin.training import parse_loop_options
from lightly_marlin.transforms import RegionCells, fasking_token_mask
from lightly_marlin.utils.console import console, run_recipe


class Pretraining(pl.LightningModule):
    """A masked autoencoder of clips."""

    def __init__(self, learning_rate: float) -> None:
        super().__init__()
        self.learning_rate = learning_rate
        self.model = create_marlin("marlin_vit_tiny")
        self.criterion = MarlinReconstructionLoss()

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Returns the loss of the masked tokens."""
        idx_keep, idx_mask = fasking_token_mask(RegionCells(batch["regions"]))
        pred = self.model(batch["video"], idx_keep, idx_mask)
        loss: Tensor = self.criterion(pred, batch["video"], idx_mask)
        self.log("loss", loss)
        return loss

    def configure_optimizers(self) -> Optimizer:
        """Returns AdamW as MARLIN has it."""
        return torch.optim.AdamW(
            self.parameters(), self.learning_rate, (0.9, 0.95), weight_decay=0
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains as the command line says; returns the exit status."""
    options = parse_loop_options(
        "Train MARLIN in PyTorch Lightning.",
        arguments,
        max_steps=300,
        batch_size=2,
        learning_rate=1e-3,
        out="run_lightning",
    )
    out = options.make_out()
    pl.seed_everything(options.seed, verbose=False)
    clips = FaceClips(open_store(options.store), seed=options.seed)
    loader = clip_loader(clips, options.batch_size, seed=options.seed)
    module = Pretraining(options.learning_rate)
    trainer = pl.Trainer(
        max_steps=options.max_steps,
        accelerator="auto",
        devices=1,
        logger=CSVLogger(out, name="", version=""),
        log_every_n_steps=min(10, options.max_steps),
        default_root_dir=out,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=console.is_terminal,
    )
    trainer.fit(module, loader)
    module.model.save_pretrained(out / "model")
    console.print(f"metrics in {out / 'metrics.csv'}, weights in model/")
    return 0


if __name__ == "__main__":
    sys.exit(run_recipe(main, "train"))
