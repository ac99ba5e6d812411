"""Augmentation of whole batches on the device, seeded by each clip's position."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lightly_marlin.transforms.clip_augmentation import ClipAugmentation
from lightly_marlin.transforms.clip_draws import ClipDraws, step_positions

__all__ = ["BatchAugmentation"]


class BatchAugmentation:
    """Augmentation of a batch; a clip at the same position changes in the same way.

    It comes before the masks: they are drawn from the augmented cells, and the
    reconstruction and the discriminator see the augmented clips. Its random numbers are
    independent of those of `BatchMasking` with the same seed.

    Example:
        >>> augment = BatchAugmentation(ClipAugmentation(flip=0.5), seed=0)
        >>> batch = augment(batch, step)

    Args:
        augmentation: Augmentation of clips.
        seed: Seed of all changes.
        stream: Number of the use, see `ClipDraws`; changes of equal seeds and
            different numbers are independent.
    """

    def __init__(
        self, augmentation: ClipAugmentation, *, seed: int = 0, stream: int = 1
    ) -> None:
        self.augmentation = augmentation
        self.seed = seed
        self.stream = stream

    def __call__(
        self, batch: Mapping[str, Any], step: int, positions: Tensor | None = None
    ) -> dict[str, Any]:
        """Augments clips, and their region cells where there are any.

        Args:
            batch:
                Mapping with "video", clips (B, 3, T, H, W), uint8 in [0, 255] or
                floating point in [0, 1]; and perhaps "regions", int32 bit masks of
                region cells (B, T, H / 8, W / 8).
            step: Number of the step.
            positions: int64 (B,), on the CPU: number of each clip in the training;
                None for steps of B clips in one process.

        Returns:
            A new mapping: clips and cells of the same shapes, dtypes and device, other
            entries unchanged.

        Raises:
            ValueError: If a shape or dtype is not allowed.
        """
        if positions is None:
            batch_size = len(batch["video"])
            positions = step_positions(batch_size, step * batch_size)
        draws = ClipDraws(self.seed, positions, stream=self.stream)
        videos, cells = self.augmentation(
            batch["video"], batch.get("regions"), generator=draws
        )
        changed = {"video": videos}
        if cells is not None:
            changed["regions"] = cells
        return {**batch, **changed}
