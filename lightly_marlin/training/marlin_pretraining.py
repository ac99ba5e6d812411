"""The pretraining of MARLIN as a LightningModule.

- [0]: MARLIN, 2023, https://arxiv.org/abs/2211.06627
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.utils.data import DataLoader

from lightly_marlin.data import (
    DistinctGroupSampler,
    FaceClip,
    FaceClips,
    ResumableClipSampler,
)
from lightly_marlin.models import (
    MarlinDiscriminator,
    accelerate_cpu,
    create_marlin,
    linear_momentum,
)
from lightly_marlin.training.batch_transforms import augmentation_of, masking_of
from lightly_marlin.training.device_prefetch import DevicePrefetcher, default_workers
from lightly_marlin.training.every_steps import is_due
from lightly_marlin.training.gradient_average import (
    average_gradients,
    copy_to_all_processes,
    mean_over_processes,
)
from lightly_marlin.training.gradient_norms import gradient_norms
from lightly_marlin.training.objectives.building import build_objectives
from lightly_marlin.training.objectives.critic import Critic
from lightly_marlin.training.objectives.names import DECODING
from lightly_marlin.training.objectives.objective import teacher_for
from lightly_marlin.training.objectives.objective_step import ObjectiveStep
from lightly_marlin.training.objectives.reporting import logged_losses
from lightly_marlin.training.optimizers import (
    UncountedOptimizer,
    follow_settings,
    make_optimizer,
)
from lightly_marlin.training.schedule import WarmupCosine
from lightly_marlin.training.settings import PretrainSettings
from lightly_marlin.training.sharding import ShardedStrategy, is_sharded, shard_model
from lightly_marlin.training.step_graph import StepGraph
from lightly_marlin.transforms.clip_draws import ClipDraws, step_positions
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.metric_names import GRADIENT

if TYPE_CHECKING:
    from lightly_marlin.data.streamed_clips import StreamedClips

__all__ = ["MarlinPretraining", "augmentation_of", "masking_of"]


# Streams of the draws for second clips, and of the penalty's; 0 and 1 are those for the
# first clips.
_MASKS_B, _AUGMENTATION_B, _PENALTY = 2, 3, 4

_SAMPLES_SEEN = "samples_seen"


class MarlinPretraining(pl.LightningModule):
    """Trains a Marlin and its discriminator in Lightning, by manual optimisation.

    Other people's callbacks see what they expect: losses and learning rate are logged
    under the names of metrics.csv, the rates are those of learning-rate schedulers, and
    `global_step` is the number of batches.

    With several devices the trainer must leave the sampler alone
    (`use_distributed_sampler=False`): that of this module gives every process its own
    clips and continues where a checkpoint ends. What is drawn for a clip depends on its
    position among all clips of the training alone, so a run may be resumed on another
    number of devices.

    Attributes:
        samples_seen: Clips that all processes together have trained on.

    Args:
        settings: Settings of the run.
        clips: Training clips.
        schedule: Learning rate of every step.
        weights: Checkpoint to start from; None for random weights.
        world_size: Devices that are going to train together, of all nodes; the
            trainer's `world_size`.

    Raises:
        UsageError: If the weights or the masks do not fit the model, or a teacher is to
            be saved and there is none.
    """

    def __init__(
        self,
        settings: PretrainSettings,
        clips: FaceClips | StreamedClips,
        schedule: WarmupCosine,
        weights: str | None = None,
        world_size: int = 1,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.samples_seen = 0
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
            self.model, self.objective_weights, num_processes=world_size
        )
        self.teacher = teacher_for(self.objectives.values(), self.model.encoder)
        # What the wrapper of several processes leaves alone; see `average_gradients`.
        outside = ["discriminator."]
        if not any(name in self.objective_weights for name in DECODING):
            outside += ["model.decoder.", "model.enc_dec_proj."]
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(  # type: ignore[no-untyped-call]
            self,
            [n for n, _ in self.named_parameters() if n.startswith(tuple(outside))],
        )
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
        settings = self.settings
        heads = [p for p in self.objectives.parameters() if p.requires_grad]
        trained = [*self.model.parameters(), *heads]
        optimizers: list[Optimizer] = [make_optimizer(trained, 1.0, settings)]
        if self.discriminator is not None:
            factor = settings.discriminator_rate
            critic = self.discriminator.parameters()
            optimizers.append(make_optimizer(critic, factor, settings))
        return optimizers, [
            # The trainer's count decides, not the scheduler's own, so that a resumed
            # run follows its settings, which may have changed, from its first step on.
            LambdaLR(optimizer, lambda _: self.schedule(self.trainer.global_step))
            for optimizer in optimizers
        ]

    def configure_model(self) -> None:
        """Spreads the model over the processes, if that is the trainer's strategy."""
        strategy = self.trainer.strategy
        if isinstance(strategy, ShardedStrategy) and not is_sharded(self.model):
            shard_model(self.model, strategy.device_mesh["data_parallel"])

    def setup(self, stage: str) -> None:
        """Begins to count clips, before a checkpoint says how many were seen."""
        self.samples_seen = 0

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the number of clips seen, from which the sampler continues."""
        checkpoint[_SAMPLES_SEEN] = self.samples_seen

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Reads the number of clips; refuses optimizers grouped in another way.

        Args:
            checkpoint: Checkpoint of the trainer.

        Raises:
            UsageError: If the run was begun without weight decay and has one now, or
                the other way round.
        """
        self.samples_seen = checkpoint.get(_SAMPLES_SEEN, 0)
        if _SAMPLES_SEEN not in checkpoint and "global_step" in checkpoint:
            # Of an earlier version: it was resumed on as many devices.
            self.samples_seen = checkpoint["global_step"] * self._clips_per_step()
        now = self.settings.weight_decay
        for state in checkpoint.get("optimizer_states", []):
            groups = state["param_groups"]
            before = max(group["weight_decay"] for group in groups)
            if before > 0 and len(groups) == 1:
                raise UsageError(
                    "The run was begun by an earlier version, whose weight decay was "
                    "on all parameters. It cannot be resumed: choose another --out."
                )
            if (before > 0) != (now > 0):
                raise UsageError(
                    f"The run was begun {'with' if before else 'without'} weight "
                    f"decay, and --weight-decay is {now:g} now. Resume as it was "
                    "begun, or choose another --out."
                )

    def on_train_start(self) -> None:
        """Composes the objectives; sets the learning rates of a resumed run."""
        # For each training, as a module may be given to another trainer. In tuples,
        # which keep their modules out of this one's state dict.
        if self.trainer.world_size > 1 and self.discriminator is not None:
            copy_to_all_processes(self.discriminator)
        self._optimizers = self._uncounted_optimizers()
        for optimizer in self._optimizers:
            follow_settings(optimizer.optimizer, self.settings)
        self._step = (self._objective_step(),)
        self._graph = StepGraph(self._update) if self.settings.cuda_graph else None
        if self.trainer.global_step > 0:
            self._step_schedulers()

    def on_train_end(self) -> None:
        """Lets go of the trainer's optimizers."""
        del self._step, self._optimizers, self._graph

    def train_dataloader(self) -> DevicePrefetcher | DataLoader[FaceClip]:
        """Returns the clips from the one on at which the training stands."""
        workers = self.settings.workers
        if workers is None:
            workers = default_workers(self.device, self.trainer.num_devices)
        if not isinstance(self.clips, FaceClips):
            # Not before: LitData writes to the user's home when it is imported.
            from lightly_marlin.data.streamed_clips import streaming_loader

            # It has a state of its own, which the trainer saves.
            batch_size, pin = self.settings.batch_size, torch.cuda.is_available()
            return streaming_loader(
                self.clips, batch_size, num_workers=workers, pin=pin
            )
        per_step = self._clips_per_step()
        contrast = "contrast" in self.objectives
        if contrast:
            # Another number of clips per step than before the run was resumed: batches
            # of distinct tracks begin at multiples of it.
            self.samples_seen += -self.samples_seen % per_step
        places: dict[str, Any] = {
            "seed": self.settings.seed,
            "start_sample": self.samples_seen,
            "rank": self.global_rank,
            "world_size": self.trainer.world_size,
        }
        sampler = ResumableClipSampler(len(self.clips), **places)
        if contrast:
            # Two tracks of a video may show one person, no negative.
            sources = self.clips.column("source")
            sampler = DistinctGroupSampler(sources, per_step, **places)
        loader: DataLoader[FaceClip] = DataLoader(
            self.clips,
            batch_size=self.settings.batch_size,
            sampler=sampler,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
        )
        on_gpu = self.device.type == "cuda"
        return DevicePrefetcher(loader, self.device) if on_gpu else loader

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Tensor]:
        """Updates the networks by one batch; returns and logs the losses."""
        step = self.trainer.global_step
        batch, idx_keep, idx_mask = self._masked(batch, step)
        inputs = {name: x for name, x in batch.items() if isinstance(x, Tensor)}
        inputs |= {"idx_keep": idx_keep, "idx_mask": idx_mask}
        every = self.settings.gradients_every
        measures = every > 0 and is_due(self.trainer, every, step + 1)
        if measures:
            logged = self._update(inputs, with_norms=True)
        elif self._graph is not None:
            logged = self._graph(inputs)
        else:
            logged = self._update(inputs)
        self._step[0].after_update(self._momentum(step))
        self._count_step()
        self.samples_seen += len(idx_keep) * self.trainer.world_size
        self._step_schedulers()
        if measures or is_due(self.trainer, self.settings.log_every):
            logged = self._mean_of_processes(logged)
        # On the CPU: a number would be copied to the device, which waits for it.
        rate = torch.tensor(self.schedule(step))
        self.log_dict({**logged, "lr": rate}, batch_size=len(idx_keep))
        return {n: x for n, x in logged.items() if not n.startswith(GRADIENT)}

    def _update(
        self, inputs: Mapping[str, Tensor], with_norms: bool = False
    ) -> dict[str, Tensor]:
        """Updates the networks; all that a CUDA graph can capture.

        Args:
            inputs: Batch and mask, tensors alone.
            with_norms: Whether to measure the objectives' gradients.

        Returns:
            Losses, and norms where they are wanted, by their names in metrics.csv.
        """
        noise = None
        if self.settings.gradient_penalty_weight > 0:
            positions = self._positions(len(inputs["idx_keep"]))
            noise = ClipDraws(self.settings.seed, positions, stream=_PENALTY)
        objectives = self._step[0]
        losses = objectives(inputs, inputs["idx_keep"], inputs["idx_mask"], noise)
        logged = logged_losses(losses.reported)
        if with_norms:
            encoder = self.model.encoder.parameters()
            norms = gradient_norms(losses.weighted, encoder)
            logged |= {f"{GRADIENT}{name}": norm for name, norm in norms.items()}
        optimizer = self._optimizers[0]
        optimizer.zero_grad()
        self.manual_backward(losses.total)
        optimizer.step()
        return logged

    def _masked(
        self, batch: dict[str, Any], step: int
    ) -> tuple[dict[str, Any], Tensor, Tensor]:
        """Augments the clips of a batch and draws what is visible of them."""
        places = self._positions(len(batch["video"]))
        if self.augmentation is not None:
            batch = self.augmentation(batch, step, places)
        idx_keep, idx_mask = self.masking(
            batch["regions"], step, places, batch["video"]
        )
        if "contrast" in self.objectives and "video_b" in batch:
            second = {"video": batch["video_b"], "regions": batch["regions_b"]}
            if self.augmentation_b is not None:
                second = self.augmentation_b(second, step, places)
            idx_keep_b, _ = self.masking_b(
                second["regions"], step, places, second["video"]
            )
            batch = {**batch, "video_b": second["video"], "idx_keep_b": idx_keep_b}
        return batch, idx_keep, idx_mask

    def _clips_per_step(self) -> int:
        return self.settings.batch_size * self.trainer.world_size

    def _positions(self, batch: int) -> Tensor:
        """Returns the numbers of a batch's clips in the training, int64 (B,)."""
        world_size = self.trainer.world_size
        return step_positions(batch, self.samples_seen, self.global_rank, world_size)

    def _uncounted_optimizers(self) -> tuple[UncountedOptimizer, ...]:
        """Returns the optimizers of model and critic; the model's clips gradients."""
        clip = self.settings.clip_gradient
        return tuple(
            UncountedOptimizer(self.trainer, optimizer, 0.0 if index else clip)
            for index, optimizer in enumerate(self.trainer.optimizers)
        )

    def _objective_step(self) -> ObjectiveStep:
        """Returns the objectives, with the critic and its optimizer."""
        objectives: dict[str, Any] = dict(self.objectives)
        if self.discriminator is not None:
            objectives["adversarial"] = Critic(
                self.discriminator,
                self._optimizers[1],
                gradient_penalty_weight=self.settings.gradient_penalty_weight,
                backward=self._critic_backward,
            )
        parts = {
            name: (objectives[name], w) for name, w in self.objective_weights.items()
        }
        return ObjectiveStep(self.model, parts, self.teacher)

    def _critic_backward(self, loss: Tensor) -> None:
        """Computes the critic's gradients, their mean with several processes."""
        torch.autograd.backward(loss)
        if self.trainer.world_size > 1 and self.discriminator is not None:
            average_gradients(self.discriminator.parameters())

    def _mean_of_processes(self, logged: dict[str, Tensor]) -> dict[str, Tensor]:
        """Returns the means of scalars over all processes, by one reduction."""
        if self.trainer.world_size == 1:
            return logged
        means = mean_over_processes(torch.stack(list(logged.values())))
        return dict(zip(logged, means.unbind(), strict=True))

    def _count_step(self) -> None:
        """Counts a batch as one step, whatever updates it had, replayed or not."""
        progress = self.trainer.fit_loop.epoch_loop.manual_optimization
        progress.optim_step_progress.increment_ready()
        progress.optim_step_progress.increment_completed()

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
