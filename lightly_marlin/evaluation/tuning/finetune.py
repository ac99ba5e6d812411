"""Fine-tuning of an encoder as a LightningModule, in the manner of VideoMAE.

- [0]: VideoMAE, 2022, https://arxiv.org/abs/2203.12602 (the recipe)
- [1]: BEiT, 2021, https://arxiv.org/abs/2106.08254 (layer decay)
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import (
    LRSchedulerConfigType,
    OptimizerLRSchedulerConfig,
)
from torch import Tensor
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from lightly_marlin.data.frame_size import fit_frames
from lightly_marlin.evaluation.labels.target import Target
from lightly_marlin.evaluation.metrics.item_scores import mean_over_windows
from lightly_marlin.evaluation.metrics.metrics import metrics_for, primary_metric
from lightly_marlin.evaluation.tuning.mixing import mix_clips
from lightly_marlin.evaluation.tuning.tuned_model import TunedModel
from lightly_marlin.models import MarlinEncoder
from lightly_marlin.training.layer_decay import layer_decay_groups
from lightly_marlin.training.schedule import WarmupCosine, scale_rate
from lightly_marlin.transforms.clip_augmentation import ClipAugmentation

__all__ = ["TUNE", "Finetune", "Tune"]

Tune = Literal["all", "norm", "head"]
TUNE: tuple[Tune, ...] = get_args(Tune)

# Of the schedule, at most: a short training must not spend itself on warming up.
_MAX_WARMUP_SHARE = 0.2

_LOADERS = ("val", "train")  # Those of the validation, in this order.


class Finetune(pl.LightningModule):
    """Trains a `TunedModel` on labelled clips with any Lightning trainer.

    A batch is a mapping with "video" and "label", see `ItemClips`; also "regions",
    which are augmented together with the clips, and in validation "item" and "index".
    One validation loader is "val", a second one "train": training items seen as in
    validation, which tells overfitting from learning.

    Logged once per epoch: "loss/objective" (with augmentation and mixing), "lr" (of the
    head), and over all items of a loader NAME "loss/NAME" and "METRIC/NAME" with the
    primary metric, from item scores, which are means over windows.

    Every random number of a step comes from seed, epoch, batch and process, so that a
    training resumed at an epoch equals an uninterrupted one.

    Example:
        >>> module = Finetune(encoder, table.target, layer_decay=0.75, drop_path=0.1)
        >>> pl.Trainer(max_epochs=30).fit(module, clips, windows)

    Attributes:
        model: The model, for `save_pretrained`.
        primary: Name of the primary metric.
    """

    def __init__(
        self,
        encoder: MarlinEncoder,
        target: Target,
        *,
        layer_decay: float = 0.75,
        drop_path: float = 0.1,
        tune: Tune = "all",
        dropout: float = 0.0,
        batch_norm: bool = False,
        learning_rate: float = 5e-4,
        min_learning_rate: float = 1e-6,
        weight_decay: float = 0.05,
        batch_size: int = 16,
        warmup_epochs: float = 5.0,
        label_smoothing: float = 0.0,
        mixup: float = 0.0,
        cutmix: float = 0.0,
        augmentation: ClipAugmentation | None = None,
        metrics: Sequence[str] = (),
        seed: int = 0,
        model_options: Mapping[str, Any] | None = None,
    ) -> None:
        """Puts a head on the encoder and freezes what is not to be tuned.

        Args:
            encoder: The encoder, which is trained in place.
            target: Kind and names of the labels.
            layer_decay: Ratio of the learning rates of neighbouring layers, in (0, 1].
            drop_path: Rate of stochastic depth in the last block, in [0, 1).
            tune: "all"; "norm" for the LayerNorms and the head; "head" alone.
            dropout: Rate of dropout before the head.
            batch_norm: Standardise features over the batch, see `FeatureNorm`; measured
                anew in every validation, on the loader "train".
            learning_rate: Peak learning rate of the head, for 256 clips a step.
            min_learning_rate: Last learning rate, for 256 clips a step.
            weight_decay: Weight decay of matrices.
            batch_size: Clips of a step over all devices, which scales the rates.
            warmup_epochs: Length of the warm-up; at most a fifth of the training.
            label_smoothing: Share of each class label that is spread over all classes.
            mixup: Alpha of MixUp; 0 for none.
            cutmix: Alpha of CutMix; 0 for none.
            augmentation: Augmentation of the training clips; None for none.
            metrics: Sets of metrics that a task adds.
            seed: Seed of augmentation, mixing, dropout and drop path.
            model_options: Further arguments of `TunedModel`.

        Raises:
            ValueError: If an option is not supported, or values are to be mixed.
        """
        super().__init__()
        if tune not in TUNE:
            raise ValueError(
                f"Invalid tune ({tune!r}). Supported values are {', '.join(TUNE)}."
            )
        if target.kind == "regression" and (mixup > 0 or cutmix > 0):
            raise ValueError(
                f"Invalid mixup {mixup} or cutmix {cutmix} of a regression: mixed "
                "values are those of no face. Set both to 0."
            )
        self.model = TunedModel(
            encoder,
            target,
            dropout=dropout,
            batch_norm=batch_norm,
            **(model_options or {}),
        )
        self.target = target
        self.tune: Tune = tune
        self.layer_decay = layer_decay
        self.weight_decay = weight_decay
        self.rate = scale_rate(learning_rate, batch_size)
        self.least = min(1.0, min_learning_rate / max(learning_rate, 1e-12))
        self.warmup_epochs = warmup_epochs
        self.label_smoothing = label_smoothing
        self.mixup, self.cutmix = mixup, cutmix
        self.augmentation = augmentation
        self.seed = seed
        self.metrics = metrics_for(target, metrics)
        self.primary = primary_metric(target)
        encoder.set_drop_path(0.0 if tune == "head" else drop_path)
        self._freeze(encoder)
        self._seen: dict[int, list[tuple[Tensor, ...]]] = defaultdict(list)
        # Loaded encoders are in evaluation mode, which Lightning leaves as it is.
        self.train()

    def _freeze(self, encoder: MarlinEncoder) -> None:
        if self.tune == "all":
            return
        for module in encoder.modules():
            norm = self.tune == "norm" and isinstance(module, torch.nn.LayerNorm)
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad_(norm)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Returns AdamW with layer decay, and warm-up and cosine by step."""
        groups: Any = layer_decay_groups(
            self.model.encoder,
            self.rate,
            heads={"head": self.model.head},
            weight_decay=self.weight_decay,
            layer_decay=self.layer_decay,
        )
        optimizer = AdamW(groups, lr=self.rate, betas=(0.9, 0.999))
        total = int(self.trainer.estimated_stepping_batches)
        per_epoch = total / max(1, self.trainer.max_epochs or 1)
        warmup = min(self.warmup_epochs * per_epoch, _MAX_WARMUP_SHARE * total)
        # A factor: the groups have the rates.
        schedule = WarmupCosine(1.0, self.least, int(warmup), total)
        # A function, not the schedule itself: its state is that of the settings.
        scheduler = LambdaLR(optimizer, lambda step: schedule(step))
        return OptimizerLRSchedulerConfig(
            optimizer=optimizer,
            lr_scheduler=LRSchedulerConfigType(scheduler=scheduler, interval="step"),
        )

    def forward(self, videos: Tensor) -> Tensor:
        """Returns outputs (B, K) of clips, see `TunedModel`."""
        outputs: Tensor = self.model(videos)
        return outputs

    def train(self, mode: bool = True) -> Finetune:
        """Sets the mode; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        if self.tune == "head":
            self.model.encoder.eval()
        return self

    def training_step(self, batch: Mapping[str, Any], batch_idx: int) -> Tensor:
        """Returns the loss of a batch of clips."""
        key = f"{self.seed}/{self.current_epoch}/{batch_idx}/{self.global_rank}"
        digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
        seed = int.from_bytes(digest, "little") % 2**63
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(seed)
            videos, labels = self.augment(batch)
            outputs = self(videos)
        loss = self.target.loss(
            outputs.float(), labels, label_smoothing=self.label_smoothing
        )
        rate = self.optimizers().param_groups[-1]["lr"]  # type: ignore[union-attr]
        self.log("lr", rate, on_step=False, on_epoch=True, batch_size=1)
        self.log(
            "loss/objective",
            loss.detach(),
            on_step=False,
            on_epoch=True,
            sync_dist=True,
            batch_size=len(outputs),
        )
        return loss

    def augment(self, batch: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """Augments and mixes the clips of a batch by torch's global generator.

        Args:
            batch: Mapping with "video" and "label", perhaps with "regions".

        Returns:
            Clips (B, 3, T, H, W) of the encoder's size, and labels, mixed ones (B, K).
        """
        videos = fit_frames(batch["video"], self.model.encoder.config.img_size)
        labels: Tensor = batch["label"]
        if self.augmentation is not None:
            videos, _ = self.augmentation(videos, batch.get("regions"))
        if self.mixup > 0 or self.cutmix > 0:
            labels = self.target.truth(labels)
            videos, labels = mix_clips(
                videos, labels, mixup=self.mixup, cutmix=self.cutmix
            )
        return videos, labels

    def validation_step(
        self, batch: Mapping[str, Any], batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Keeps features and labels of a batch for the end of the epoch."""
        features = self.model.features(batch["video"]).float()
        first = sum(len(part[0]) for part in self._seen[dataloader_idx])
        places = first + torch.arange(len(features), device=features.device)
        index, item = (batch.get(name, places) for name in ("index", "item"))
        self._seen[dataloader_idx].append((features, batch["label"], index, item))

    def on_validation_epoch_end(self) -> None:
        """Logs loss and primary metric over all items of each loader."""
        seen = {
            _LOADERS[loader]: self._gather(parts)
            for loader, parts in sorted(self._seen.items())
        }
        self._seen.clear()
        if self.model.norm is not None and "train" in seen:
            self.model.norm.measure(seen["train"][0])
        for name, (features, *others) in seen.items():
            outputs = self.model.predict(features).float()
            self._log_items(name, *(x.cpu() for x in (outputs, *others)))

    def _gather(self, parts: list[tuple[Tensor, ...]]) -> list[Tensor]:
        """Returns features, labels and items of a loader, of all processes."""
        gathered = [torch.cat(column) for column in zip(*parts, strict=True)]
        if self.trainer.world_size > 1:
            gathered = [torch.cat([*self.all_gather(x)]) for x in gathered]
        features, labels, index, item = gathered
        # Processes get equal numbers of windows, so some twice.
        order = _first_places(index.cpu()).to(index.device)
        return [features[order], labels[order], item[order]]

    def _log_items(
        self, name: str, outputs: Tensor, labels: Tensor, items: Tensor
    ) -> None:
        _, rows = torch.unique(items, return_inverse=True)
        count = int(rows.max()) + 1
        scores = mean_over_windows(self.target.scores(outputs), rows, count)
        truth = scores.new_empty(count, self.target.num_outputs)
        truth[rows] = self.target.truth(labels)
        values = {
            f"loss/{name}": float(self.target.loss(outputs, labels)),
            f"{self.primary}/{name}": self.metrics(scores, truth)[self.primary],
        }
        self.log_dict(values, batch_size=len(outputs), rank_zero_only=False)


def _first_places(index: Tensor) -> Tensor:
    """Returns where each index stands first, in ascending order of the indices."""
    places = {int(value): place for place, value in reversed([*enumerate(index)])}
    return torch.tensor([places[value] for value in sorted(places)], dtype=torch.int64)
