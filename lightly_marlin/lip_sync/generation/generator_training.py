"""Training of a generator of lips in Lightning."""

from __future__ import annotations

import math
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from lightly_marlin.data.frame_size import fit_frames
from lightly_marlin.lip_sync.dubbing.lip_stream import AnyGenerator
from lightly_marlin.lip_sync.generation.lip_clips import LipClip, LipClips
from lightly_marlin.lip_sync.losses.critic_loss import CriticLoss
from lightly_marlin.lip_sync.losses.l1_loss import LipSyncL1Loss
from lightly_marlin.lip_sync.losses.sync_loss import SyncLoss
from lightly_marlin.lip_sync.losses.sync_weight import SyncWeight
from lightly_marlin.lip_sync.networks.generator import LipSyncGenerator
from lightly_marlin.lip_sync.networks.image_critic import ImageCritic
from lightly_marlin.lip_sync.networks.sync_expert import SyncExpert
from lightly_marlin.lip_sync.pairs.sync_data import PairSampler
from lightly_marlin.training import WarmupCosine
from lightly_marlin.training.layer_decay import layer_decay_groups

__all__ = ["METRICS_COLUMNS", "LipSyncTraining", "draw_lips"]

METRICS_COLUMNS = (
    "step",
    "l1",
    "sync",
    "generator",
    "critic",
    "lr",
    "clips_per_second",
)
"""Columns of metrics.csv; losses that are off are NaN."""

_SYNC_WEIGHT = "sync_weight"


def draw_lips(generator: AnyGenerator, clip: LipClip) -> Tensor:
    """Generates the clips of a batch.

    Args:
        generator: The generator.
        clip: A batch; the reference stands still, as in dubbing.

    Returns:
        Crops (B, 3, T, S, S) in [0, 1], S the generator's `size`.
    """
    reference = clip.reference.expand_as(clip.target)
    generated: Tensor = generator(clip.target, reference, clip.mel)
    return generated


class LipSyncTraining(pl.LightningModule):
    """Trains a generator as Wav2Lip [0], with any encoder, by one AdamW.

        l1 + sync_weight * sync + critic_weight * generator

    The sync loss is that of a frozen expert, and weighs nothing until `sync_weight`
    switches it on. The critic learns in the same step, from detached frames: the
    gradients of both sides do not mix. The generator's encoder stays as it is, or
    learns at rates that fall from its last layer to its first.

    The learning rate rises linearly, then falls like a cosine to 0. A batch depends on
    the seed and the number of its step alone: a training that resumes from a checkpoint
    ends as one without interruption, on the same kind of machine.

    - [0]: A Lip Sync Expert Is All You Need for Speech to Lip Generation In the Wild,
      2020, https://arxiv.org/abs/2008.10010

    Args:
        generator: The generator.
        clips: Clips of the training tracks.
        batch_size: Clips of a step.
        schedule: Learning rate of the decoder in every step.
        l1_loss: Loss on pixels.
        expert: A trained expert, frozen here; None for no sync loss.
        sync_weight: Weight of the sync loss.
        critic: A critic of frames; None for none.
        critic_weight: Weight of the generator's loss by the critic.
        tune_encoder: Whether the encoder of a `LipSyncGenerator` is trained; otherwise
            it is frozen in place.
        layer_decay: Ratio of the rates of neighbouring layers of the encoder.
        weight_decay: Weight decay of matrices.
        workers: Processes that read clips.
    """

    def __init__(
        self,
        generator: AnyGenerator,
        clips: LipClips,
        *,
        batch_size: int,
        schedule: WarmupCosine,
        l1_loss: LipSyncL1Loss | None = None,
        expert: SyncExpert | None = None,
        sync_weight: SyncWeight | None = None,
        critic: ImageCritic | None = None,
        critic_weight: float = 0.07,
        tune_encoder: bool = True,
        layer_decay: float = 0.75,
        weight_decay: float = 0.01,
        workers: int = 0,
    ) -> None:
        super().__init__()
        self.generator = generator
        self.clips = clips
        self.batch_size = batch_size
        self.schedule = schedule
        self.l1_loss = l1_loss or LipSyncL1Loss()
        # In a tuple, which keeps the expert's weights out of checkpoints.
        self._sync = () if expert is None else (SyncLoss(expert),)
        self.sync_weight = sync_weight or SyncWeight()
        self.critic = critic
        self.critic_loss = CriticLoss()
        self.critic_weight = critic_weight
        self.layer_decay = layer_decay
        self.weight_decay = weight_decay
        self.workers = workers
        if isinstance(generator, LipSyncGenerator) and not tune_encoder:
            generator.encoder.requires_grad_(False)

    @property
    def sync_loss(self) -> SyncLoss | None:
        """The loss by the expert; None without one."""
        return self._sync[0] if self._sync else None

    def on_fit_start(self) -> None:
        """Moves the expert to the device, on which the networks are by now."""
        for loss in self._sync:
            loss.to(self.device)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Returns the optimizer, and the schedule of its learning rates."""
        # A scheduler multiplies: the schedule's rate is the factor.
        optimizer = AdamW(self._groups(), lr=1.0)
        scheduler = LambdaLR(optimizer, self.schedule)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def _groups(self) -> list[dict[str, Any]]:
        """Returns parameters with the ratios of their learning rates."""
        parts = dict(self.generator.named_children())
        encoder = parts.pop("encoder", None)
        heads = nn.ModuleDict(parts)
        if self.critic is not None:
            heads["critic"] = self.critic
        if encoder is None:
            return [{"params": heads.parameters(), "weight_decay": self.weight_decay}]
        groups: Any = layer_decay_groups(
            encoder,
            1.0,
            heads=dict(heads.items()),
            weight_decay=self.weight_decay,
            layer_decay=self.layer_decay,
        )
        return [
            {name: x for name, x in group.items() if name != "names"}
            for group in groups
        ]

    def train_dataloader(self) -> DataLoader[LipClip]:
        """Returns the clips from the step on at which the training stands."""
        done = self.trainer.global_step * self.batch_size
        sampler = PairSampler(len(self.clips), seed=self.clips.seed, start_sample=done)
        return DataLoader(
            self.clips,
            batch_size=self.batch_size,
            sampler=sampler,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def training_step(self, batch: LipClip, _: int) -> Tensor:
        """Returns the sum of the losses of a batch; logs each of them."""
        generated = draw_lips(self.generator, batch)
        target = fit_frames(batch.target.float() / 255, self.generator.size)
        total: Tensor = self.l1_loss(generated, target, batch.mouths)
        losses = {"l1": total}
        if self.sync_loss is not None and self.sync_weight.value:
            losses["sync"] = self.sync_loss(generated, batch.sounds)
            total = total + self.sync_weight.value * losses["sync"]
        if self.critic is not None:
            self.critic.requires_grad_(False)
            judged = self.critic(generated)
            losses["generator"] = self.critic_loss.generator_loss(judged)
            self.critic.requires_grad_(True)
            losses["critic"] = self.critic_loss.discriminator_loss(
                self.critic(target), self.critic(generated.detach())
            )
            total = total + self.critic_weight * losses["generator"] + losses["critic"]
        logged: dict[str, Any] = dict.fromkeys(METRICS_COLUMNS[1:-2], math.nan)
        logged.update({name: loss.detach() for name, loss in losses.items()})
        logged["lr"] = self.trainer.optimizers[0].param_groups[-1]["lr"]
        self.log_dict(logged, batch_size=len(generated))
        return total

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps whether the sync loss is on."""
        checkpoint[_SYNC_WEIGHT] = self.sync_weight.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores whether the sync loss is on."""
        self.sync_weight.load_state_dict(checkpoint[_SYNC_WEIGHT])
