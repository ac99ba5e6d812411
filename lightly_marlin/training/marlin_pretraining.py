"""The pretraining of MARLIN as a LightningModule.

- [0]: MARLIN, 2023, https://arxiv.org/abs/2211.06627
"""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch.optim import AdamW, Optimizer
from torch.utils.data import DataLoader

from lightly_marlin.data import FaceClip, FaceClips, ResumableClipSampler
from lightly_marlin.models import MarlinDiscriminator, create_marlin
from lightly_marlin.training.pretrain_step import PretrainStep
from lightly_marlin.training.schedule import WarmupCosine
from lightly_marlin.training.settings import PretrainSettings
from lightly_marlin.training.settings_parts import masking_of

__all__ = ["MarlinPretraining"]


class MarlinPretraining(pl.LightningModule):
    """Trains a Marlin and its discriminator in Lightning, by manual optimisation.

    The trainer must leave the sampler alone (`use_distributed_sampler=False`): that of
    this module gives every process its own clips and continues where a checkpoint ends.

    Args:
        settings: Of the run.
        clips: Training clips.
        schedule: Learning rate of every step.
        weights: Checkpoint to start from; None for random weights.
    """

    def __init__(
        self,
        settings: PretrainSettings,
        clips: FaceClips,
        schedule: WarmupCosine,
        weights: str | None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.settings = settings
        self.clips = clips
        self.schedule = schedule
        self.model = create_marlin(settings.model, weights=weights)
        config = self.model.config
        self.discriminator = (
            MarlinDiscriminator(config.patch_dim, 4 * config.decoder_dim)
            if settings.adversarial_weight > 0
            else None
        )
        self.masking = masking_of(settings, config, settings.decode_ratio)

    def configure_optimizers(self) -> list[Optimizer]:
        """Returns the optimizers of the model and of the discriminator."""
        modules = [self.model, self.discriminator]
        return [
            AdamW(
                module.parameters(),
                lr=0.0,
                betas=(self.settings.beta1, self.settings.beta2),
                weight_decay=self.settings.weight_decay,
            )
            for module in modules
            if module is not None
        ]

    def on_fit_start(self) -> None:
        """Joins model, discriminator and optimizers to a step."""
        optimizers = self.optimizers()
        optimizers = optimizers if isinstance(optimizers, list) else [optimizers]
        self.pretrain_step = PretrainStep(
            self.model,
            self.discriminator,
            optimizers[0],  # type: ignore[arg-type]
            # Unwrapped, so that the trainer counts one step per batch, not two.
            optimizers[1].optimizer if len(optimizers) > 1 else None,
            adversarial_weight=self.settings.adversarial_weight,
            gradient_penalty_weight=self.settings.gradient_penalty_weight,
            backward=self.manual_backward,
        )

    def train_dataloader(self) -> DataLoader[FaceClip]:
        """Returns the clips from the one on at which the training stands."""
        per_step = self.settings.batch_size * self.settings.devices
        sampler = ResumableClipSampler(
            len(self.clips),
            seed=self.settings.seed,
            start_sample=self.trainer.global_step * per_step,
            rank=self.global_rank,
            world_size=self.settings.devices,
        )
        return DataLoader(
            self.clips,
            batch_size=self.settings.batch_size,
            sampler=sampler,
            num_workers=self.settings.workers,
            persistent_workers=self.settings.workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def training_step(
        self, batch: dict[str, Any], batch_idx: int
    ) -> dict[str, torch.Tensor | float]:
        """Updates both networks by one batch."""
        step = self.trainer.global_step
        rate = self.schedule(step)
        factors = (1.0, self.settings.discriminator_rate)
        for optimizer, factor in zip(self.trainer.optimizers, factors, strict=False):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
        idx_keep, idx_mask = self.masking(
            batch["regions"], step, self.global_rank, batch["video"]
        )
        seed = self.settings.seed + step * self.settings.devices + self.global_rank
        noise = torch.Generator(self.device).manual_seed(seed)
        losses = self.pretrain_step(batch["video"], idx_keep, idx_mask, noise)
        return {
            "loss/reconstruction": losses.reconstruction,
            "loss/generator_adversarial": losses.generator_adversarial,
            "loss/discriminator": losses.discriminator,
            "lr": rate,
        }
