"""Loaders of a fine-tuning: random clips to train on, windows to validate on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sized
from typing import Any

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Sampler

from lightly_marlin.evaluation.items.item_clips import ItemClip, ItemClips, ItemWindows
from lightly_marlin.evaluation.items.item_places import ItemPlaces
from lightly_marlin.evaluation.items.item_sampler import ItemSampler, balanced_weights
from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.evaluation.labels.splits import Fold
from lightly_marlin.store.face_store import FaceStore
from lightly_marlin.utils.errors import UsageError

__all__ = ["FinetuneData"]

_VAL_WINDOWS = 4
# Training items that are seen as in validation, if there are fewer to validate on.
_LEAST_TRAIN_ITEMS = 64


class FinetuneData(pl.LightningDataModule):
    """Training clips, and windows of validation and training items, for `Finetune`.

    The validation loaders are "val" and "train": up to 4 windows of each validation
    item, and of as many training items. With several devices the trainer must leave the
    samplers alone (`use_distributed_sampler=False`).

    Attributes:
        clips: Training clips.
        val_windows: Windows of the validation items.
        train_windows: Windows of training items, seen as in validation.
    """

    def __init__(
        self,
        table: LabelTable,
        store: FaceStore,
        fold: Fold,
        places: ItemPlaces,
        *,
        batch_size: int,
        num_frames: int = 16,
        sample_rate: int = 2,
        balanced: bool = False,
        workers: int = 0,
        seed: int = 0,
    ) -> None:
        """Selects the clips.

        Args:
            table: Items and labels.
            store: Store of their videos.
            fold: Items to train and to validate on.
            places: Result of `find_places` for the table.
            batch_size: Clips of a step and device.
            num_frames: Frames of a clip.
            sample_rate: Frames of the video from one frame of a clip to the next.
            balanced: Draw classes equally often, see `balanced_weights`.
            workers: Loader processes.
            seed: Seed of order and places of the clips.

        Raises:
            UsageError: If no item to train or to validate on has a place in the store,
                or the target has no classes to balance.
        """
        super().__init__()
        self._epoch = 0
        options: dict[str, Any] = {
            "num_frames": num_frames,
            "stride": sample_rate,
            "places": places,
        }
        for name, items in (("train", fold.train), ("validate", fold.val)):
            if not items:
                raise UsageError(f"There are no items to {name} on in {table.name}.")
            if not places.found(items):
                raise UsageError(
                    f"None of the {len(items)} items to {name} on has a face in "
                    f"{store.path}; the first, {table.items[items[0]]!r}: "
                    f"{places.reasons[items[0]]}."
                )
        self.batch_size = batch_size
        self.workers = workers
        self.seed = seed
        self.clips = ItemClips(table, store, fold.train, seed=seed, **options)
        self.weights = (
            balanced_weights(table.target, self.clips.labels()) if balanced else None
        )
        options["max_windows"] = _VAL_WINDOWS
        self.val_windows = ItemWindows(table, store, fold.val, **options)
        count = max(_LEAST_TRAIN_ITEMS, len(self.val_windows.items))
        seen = sorted(sorted(fold.train, key=lambda i: _hash(table.items[i]))[:count])
        self.train_windows = ItemWindows(table, store, seen, **options)

    def steps_per_epoch(self, world_size: int = 1) -> int:
        """Returns the number of full batches of an epoch, at least 1."""
        return max(1, len(self.clips) // (self.batch_size * world_size))

    def state_dict(self) -> dict[str, int]:
        """Returns the epoch that a resumed training begins with.

        Lightning tells samplers the epoch, but only after the loader's workers have
        begun to read.
        """
        assert self.trainer is not None
        return {"epoch": self.trainer.current_epoch + 1}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Takes over the epoch of the training that is resumed."""
        self._epoch = state_dict["epoch"]

    def train_dataloader(self) -> DataLoader[ItemClip]:
        """Returns the loader of the training clips of this process."""
        rank, world_size = self._processes()
        sampler = ItemSampler(
            len(self.clips),
            self.steps_per_epoch(world_size) * self.batch_size,
            weights=self.weights,
            seed=self.seed,
            rank=rank,
            world_size=world_size,
        )
        sampler.set_epoch(self._epoch)
        return DataLoader(
            self.clips,
            batch_size=self.batch_size,
            sampler=sampler,
            num_workers=self.workers,
            pin_memory=torch.cuda.is_available(),
        )

    def val_dataloader(self) -> list[DataLoader[ItemClip]]:
        """Returns the loaders "val" and "train" of this process."""
        return [
            DataLoader(
                windows,
                batch_size=self.batch_size,
                sampler=_Share(windows, *self._processes()),
                num_workers=self.workers,
                pin_memory=torch.cuda.is_available(),
            )
            for windows in (self.val_windows, self.train_windows)
        ]

    def _processes(self) -> tuple[int, int]:
        if self.trainer is None:
            return 0, 1
        return self.trainer.global_rank, self.trainer.world_size


class _Share(Sampler[int]):
    """Every n-th index for one of n processes; all get equally many, the last twice."""

    def __init__(self, windows: Sized, rank: int, world_size: int) -> None:
        self.last = len(windows) - 1
        self.rank, self.world_size = rank, world_size

    def __len__(self) -> int:
        return self.last // self.world_size + 1

    def __iter__(self) -> Iterator[int]:
        for number in range(len(self)):
            yield min(self.last, number * self.world_size + self.rank)


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
