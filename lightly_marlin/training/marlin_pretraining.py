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

from lightly_marlin.data import (
    DistinctGroupSampler,
    FaceClip,
    FaceClips,
    ResumableClipSampler,
)
from lightly_marlin.models import (
    MarlinConfig,
    MarlinDiscriminator,
    accelerate_cpu,
    create_marlin,
    linear_momentum,
)
from lightly_marlin.training.every_steps import is_due
from lightly_marlin.training.gradient_norms import gradient_norms
from lightly_marlin.training.objectives.building import build_objectives
from lightly_marlin.training.objectives.critic import Critic
from lightly_marlin.training.objectives.objective import teacher_for
from lightly_marlin.training.objectives.objective_step import ObjectiveStep
from lightly_marlin.training.objectives.reporting import logged_losses
from lightly_marlin.training.schedule import WarmupCosine
from lightly_marlin.training.settings import PretrainSettings
from lightly_marlin.transforms import (
    BatchAugmentation,
    BatchMasking,
    ClipAugmentation,
    MixtureSchedule,
)
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.metric_names import GRADIENT

__all__ = ["MarlinPretraining", "augmentation_of", "masking_of"]


# Streams of the draws for second clips; 0 and 1 are those for the first.
_MASKS_B, _AUGMENTATION_B = 2, 3


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

    Raises:
        UsageError: If the weights or the masks do not fit the model, or a teacher is to
            be saved and there is none.
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
        self.objective_weights = settings.objective_weights
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
            if "adversarial" in self.objective_weights
            else None
        )
        # After the networks, whose first weights then do not depend on them.
        self.objectives = build_objectives(
            self.model, self.objective_weights, num_processes=settings.devices
        )
        self.teacher = teacher_for(self.objectives.values(), self.model.encoder)
        if settings.export_teacher and self.teacher is None:
            raise UsageError(
                "--export-teacher needs an objective with a teacher, such as latent=1."
            )
        self.augmentation = augmentation_of(settings)
        self.masking = masking_of(settings, config, settings.decode_ratio)
        if "contrast" in self.objectives:
            self.augmentation_b = augmentation_of(settings, _AUGMENTATION_B)
            # Second clips are not decoded: all that is hidden of them is left out.
            self.masking_b = masking_of(settings, config, stream=_MASKS_B)

    def configure_optimizers(self) -> tuple[list[Optimizer], list[LRScheduler]]:
        """Returns optimizers and schedulers of the model and of the discriminator."""
        heads = [p for p in self.objectives.parameters() if p.requires_grad]
        parts = [([*self.model.parameters(), *heads], 1.0)]
        if self.discriminator is not None:
            critic = list(self.discriminator.parameters())
            parts.append((critic, self.settings.discriminator_rate))
        optimizers = [
            AdamW(
                parameters,
                # A scheduler multiplies: the schedule's rate is the factor.
                lr=factor,
                betas=(self.settings.beta1, self.settings.beta2),
                weight_decay=self.settings.weight_decay,
                fused=True,
            )
            for parameters, factor in parts
        ]
        return list(optimizers), [
            # The trainer's count decides, not the scheduler's own, so that a resumed
            # run follows its settings, which may have changed, from its first step on.
            LambdaLR(optimizer, lambda _: self.schedule(self.trainer.global_step))
            for optimizer in optimizers
        ]

    def on_train_start(self) -> None:
        """Composes the objectives; sets the learning rates of a resumed run."""
        # For each training, as a module may be given to another trainer. In a tuple,
        # which keeps its modules out of this one's state dict.
        self._step = self._objective_step()
        if self.trainer.global_step > 0:
            self._step_schedulers()

    def on_train_end(self) -> None:
        """Lets go of the trainer's optimizers."""
        del self._step

    def train_dataloader(self) -> DataLoader[FaceClip]:
        """Returns the clips from the one on at which the training stands."""
        per_step = self.settings.batch_size * self.settings.devices
        places: dict[str, Any] = {
            "seed": self.settings.seed,
            "start_sample": self.trainer.global_step * per_step,
            "rank": self.global_rank,
            "world_size": self.settings.devices,
        }
        sampler = ResumableClipSampler(len(self.clips), **places)
        if "contrast" in self.objectives:
            # Two tracks of a video may show one person, no negative.
            sources = self.clips.column("source")
            sampler = DistinctGroupSampler(sources, per_step, **places)
        return DataLoader(
            self.clips,
            batch_size=self.settings.batch_size,
            sampler=sampler,
            num_workers=self.settings.workers,
            persistent_workers=self.settings.workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Tensor]:
        """Updates the networks by one batch; returns and logs the losses."""
        step = self.trainer.global_step
        rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        batch, idx_keep, idx_mask = self._masked(batch, step)
        seed = self.settings.seed + step * self.settings.devices + self.global_rank
        noise = torch.Generator(self.device).manual_seed(seed)
        optimizer, objectives = self._step
        losses = objectives(batch, idx_keep, idx_mask, noise)
        norms = self._gradient_norms(losses.weighted, step + 1)
        optimizer.zero_grad()
        self.manual_backward(losses.total)
        optimizer.step()
        objectives.after_update(self._momentum(step))
        self._step_schedulers()
        logged = logged_losses(losses.reported)
        self.log_dict({**logged, **norms, "lr": rate}, batch_size=len(idx_keep))
        return logged

    def _masked(
        self, batch: dict[str, Any], step: int
    ) -> tuple[dict[str, Any], Tensor, Tensor]:
        """Augments the clips of a batch and draws what is visible of them."""
        rank = self.global_rank
        if self.augmentation is not None:
            batch = self.augmentation(batch, step, rank)
        idx_keep, idx_mask = self.masking(batch["regions"], step, rank, batch["video"])
        if "contrast" in self.objectives and "video_b" in batch:
            second = {"video": batch["video_b"], "regions": batch["regions_b"]}
            if self.augmentation_b is not None:
                second = self.augmentation_b(second, step, rank)
            idx_keep_b, _ = self.masking_b(
                second["regions"], step, rank, second["video"]
            )
            batch = {**batch, "video_b": second["video"], "idx_keep_b": idx_keep_b}
        return batch, idx_keep, idx_mask

    def _objective_step(self) -> tuple[Any, ObjectiveStep]:
        """Returns the model's optimizer, and the objectives with that of the critic."""
        optimizers = self.optimizers()
        optimizers = optimizers if isinstance(optimizers, list) else [optimizers]
        objectives: dict[str, Any] = dict(self.objectives)
        if self.discriminator is not None:
            objectives["adversarial"] = Critic(
                self.discriminator,
                _UncountedOptimizer(self.trainer, optimizers[1].optimizer),
                gradient_penalty_weight=self.settings.gradient_penalty_weight,
                backward=self.manual_backward,
            )
        parts = {
            name: (objectives[name], w) for name, w in self.objective_weights.items()
        }
        return optimizers[0], ObjectiveStep(self.model, parts, self.teacher)

    def _gradient_norms(
        self, weighted: dict[str, Tensor], steps_done: int
    ) -> dict[str, Tensor]:
        """Returns the norms of the objectives' gradients in the steps that ask."""
        every = self.settings.gradients_every
        if every == 0 or not is_due(self.trainer, every, steps_done):
            return {}
        norms = gradient_norms(weighted, self.model.encoder.parameters())
        return {f"{GRADIENT}{name}": norm for name, norm in norms.items()}

    def _momentum(self, step: int) -> float:
        return linear_momentum(
            step,
            self.schedule.total_steps,
            self.settings.teacher_momentum,
            self.settings.teacher_momentum_end,
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


def augmentation_of(
    settings: PretrainSettings, stream: int = 1
) -> BatchAugmentation | None:
    """Returns the augmentation of training batches; None if all of it is off.

    Args:
        settings: Settings of the run.
        stream: Number of the use, see `BatchAugmentation`.

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
    return BatchAugmentation(augmentation, seed=settings.seed, stream=stream)


def masking_of(
    settings: PretrainSettings,
    config: MarlinConfig,
    decode_ratio: float = 1.0,
    stream: int = 0,
) -> BatchMasking:
    """Returns the masking strategy for a model's token grid.

    Args:
        settings: Settings of the run.
        config: Sizes of the model.
        decode_ratio: Share of the masked tokens to decode; 1 for all, as in validation.
        stream: Number of the use, see `BatchMasking`.

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
            stream=stream,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
