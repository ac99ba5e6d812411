"""The pretraining of MARLIN as a LightningModule.

- [0]: MARLIN, 2023, https://arxiv.org/abs/2211.06627
"""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.utils.data import DataLoader

from lightly_marlin.data import FaceClip, FaceClips, ResumableClipSampler
from lightly_marlin.models import (
    MarlinConfig,
    MarlinDiscriminator,
    accelerate_cpu,
    create_marlin,
)
from lightly_marlin.training.pretrain_step import PretrainStep
from lightly_marlin.training.schedule import WarmupCosine
from lightly_marlin.training.settings import PretrainSettings
from lightly_marlin.transforms import (
    BatchAugmentation,
    BatchMasking,
    ClipAugmentation,
    MixtureSchedule,
)
from lightly_marlin.utils.errors import UsageError

__all__ = ["MarlinPretraining", "augmentation_of", "masking_of"]


class MarlinPretraining(pl.LightningModule):
    """Trains a Marlin and its discriminator in Lightning, by manual optimisation.

    Other people's callbacks see what they expect: losses and learning rate are logged
    under the names of metrics.csv, the rates are those of learning-rate schedulers, and
    `global_step` is the number of batches.

    With several devices the trainer must leave the sampler alone
    (`use_distributed_sampler=False`): that of this module gives every process its own
    clips and continues where a checkpoint ends.

    Args:
        settings: Settings of the run.
        clips: Training clips.
        schedule: Learning rate of every step.
        weights: Checkpoint to start from; None for random weights.
    """

    def __init__(
        self,
        settings: PretrainSettings,
        clips: FaceClips,
        schedule: WarmupCosine,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.settings = settings
        self.clips = clips
        self.schedule = schedule
        self.model = create_marlin(
            settings.model, weights=weights, img_size=settings.image_size
        )
        config = self.model.config
        self.discriminator = (
            accelerate_cpu(
                MarlinDiscriminator(config.patch_dim, 4 * config.decoder_dim)
            )
            if settings.adversarial_weight > 0
            else None
        )
        self.augmentation = augmentation_of(settings)
        self.masking = masking_of(settings, config, settings.decode_ratio)

    def configure_optimizers(self) -> tuple[list[Optimizer], list[LRScheduler]]:
        """Returns optimizers and schedulers of the model and of the discriminator."""
        critic_rate = self.settings.discriminator_rate
        parts = [(self.model, 1.0), (self.discriminator, critic_rate)]
        optimizers = [
            AdamW(
                part.parameters(),
                # A scheduler multiplies: the schedule's rate is the factor.
                lr=factor,
                betas=(self.settings.beta1, self.settings.beta2),
                weight_decay=self.settings.weight_decay,
            )
            for part, factor in parts
            if part is not None
        ]
        return list(optimizers), [
            # The trainer's count decides, not the scheduler's own, so that a resumed
            # run follows its settings, which may have changed, from its first step on.
            LambdaLR(optimizer, lambda _: self.schedule(self.trainer.global_step))
            for optimizer in optimizers
        ]

    def on_train_start(self) -> None:
        """Sets the learning rates of a resumed run."""
        if self.trainer.global_step > 0:
            self._step_schedulers()

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

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Tensor]:
        """Updates both networks by one batch; returns and logs their losses."""
        step = self.trainer.global_step
        rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        if self.augmentation is not None:
            batch = self.augmentation(batch, step, self.global_rank)
        idx_keep, idx_mask = self.masking(
            batch["regions"], step, self.global_rank, batch["video"]
        )
        seed = self.settings.seed + step * self.settings.devices + self.global_rank
        noise = torch.Generator(self.device).manual_seed(seed)
        update = self._pretrain_step()
        losses = update(batch["video"], idx_keep, idx_mask, noise)
        self._step_schedulers()
        logged = {
            "loss/reconstruction": losses.reconstruction,
            "loss/generator_adversarial": losses.generator_adversarial,
            "loss/discriminator": losses.discriminator,
        }
        self.log_dict({**logged, "lr": rate}, batch_size=len(idx_keep))
        return logged

    def _pretrain_step(self) -> PretrainStep:
        optimizers = self.optimizers()
        optimizers = optimizers if isinstance(optimizers, list) else [optimizers]
        return PretrainStep(
            self.model,
            self.discriminator,
            optimizers[0],
            _UncountedOptimizer(self.trainer, optimizers[1].optimizer)
            if len(optimizers) > 1
            else None,
            adversarial_weight=self.settings.adversarial_weight,
            gradient_penalty_weight=self.settings.gradient_penalty_weight,
            backward=self.manual_backward,
        )

    def _step_schedulers(self) -> None:
        schedulers = self.lr_schedulers()
        for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
            scheduler.step()  # type: ignore[union-attr]


class _UncountedOptimizer:
    """Optimizer of the discriminator, which steps without counting.

    Lightning counts every step of every `LightningOptimizer`, so that `global_step`
    would advance by two per batch, and with it `max_steps`, `every_n_train_steps` and
    everything else that is given in steps. The strategy's step is the same, precision
    plugin and `on_before_optimizer_step` included, and leaves the count to the model's
    optimizer.
    """

    def __init__(self, trainer: pl.Trainer, optimizer: Optimizer) -> None:
        self.trainer = trainer
        self.optimizer = optimizer

    def zero_grad(self) -> None:
        self.optimizer.zero_grad()

    def step(self) -> None:
        self.trainer.strategy.optimizer_step(self.optimizer, closure=lambda: None)


def augmentation_of(settings: PretrainSettings) -> BatchAugmentation | None:
    """Returns the augmentation of training batches; None if all of it is off.

    Args:
        settings: Settings of the run.

    Raises:
        MissingExtraError: If it is on and kornia is not installed.
    """
    if settings.flip == 0 and settings.crop_scale == 1 and settings.color == 0:
        return None
    augmentation = ClipAugmentation(
        flip=settings.flip,
        crop_scale=(settings.crop_scale, 1.0),
        color=settings.color,
    )
    return BatchAugmentation(augmentation, seed=settings.seed)


def masking_of(
    settings: PretrainSettings, config: MarlinConfig, decode_ratio: float = 1.0
) -> BatchMasking:
    """Returns the masking strategy for a model's token grid.

    Args:
        settings: Settings of the run.
        config: Sizes of the model.
        decode_ratio: Share of the masked tokens to decode; 1 for all, as in validation.

    Raises:
        UsageError: If the strategy and its ratios do not fit the model.
    """
    end = settings.mask_share_end
    schedule = MixtureSchedule(
        (settings.mask_share, 1 - settings.mask_share),
        None if end is None else (end, 1 - end),
        settings.mask_share_steps,
    )
    try:
        return BatchMasking(
            settings.mask,
            settings.mask_ratio,
            grid=config.grid,
            patch_size=config.patch_size,
            tubelet_size=config.tubelet_size,
            mode=settings.mask_mode,
            order=settings.mask_order,
            schedule=schedule,
            decode_ratio=decode_ratio,
            seed=settings.seed,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
