"""Augmentation of whole batches on the device, seeded by the step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightly_marlin.transforms.clip_augmentation import ClipAugmentation
from lightly_marlin.transforms.step_generator import step_generator

__all__ = ["BatchAugmentation"]


class BatchAugmentation:
    """Augmentation of a batch; running the same step again gives the same clips.

    It comes before the masks: they are drawn from the augmented cells, and the
    reconstruction and the discriminator see the augmented clips. Its random numbers are
    independent of those of `BatchMasking` with the same seed.

    Example:
        >>> augment = BatchAugmentation(ClipAugmentation(flip=0.5), seed=0)
        >>> batch = augment(batch, step)

    Args:
        augmentation: Augmentation of clips.
        seed: Seed of all changes.
        stream: Number of the use, see `step_generator`; changes of equal seeds and
            different numbers are independent.
    """

    def __init__(
        self, augmentation: ClipAugmentation, *, seed: int = 0, stream: int = 1
    ) -> None:
        self.augmentation = augmentation
        self.seed = seed
        self.stream = stream

    def __call__(
        self, batch: Mapping[str, Any], step: int, rank: int = 0
    ) -> dict[str, Any]:
        """Augments clips, and their region cells where there are any.

        Args:
            batch:
                Mapping with "video", clips (B, 3, T, H, W), uint8 in [0, 255] or
                floating point in [0, 1]; and perhaps "regions", int32 bit masks of
                region cells (B, T, H / 8, W / 8).
            step: Number of the step.
            rank: Rank of the process in distributed training.

        Returns:
            A new mapping: clips and cells of the same shapes, dtypes and device, other
            entries unchanged.

        Raises:
            ValueError: If a shape or dtype is not allowed.
        """
        generator = step_generator(self.seed, step, rank, stream=self.stream)
        videos, cells = self.augmentation(
            batch["video"], batch.get("regions"), generator=generator
        )
        changed = {"video": videos}
        if cells is not None:
            changed["regions"] = cells
        return {**batch, **changed}
