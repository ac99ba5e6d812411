"""Order in which clips are trained on: a pure function of seed and epoch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import Sampler

from lightly_marlin.data.clip_sampler import ResumableClipSampler
from lightly_marlin.evaluation.labels.target import Target
from lightly_marlin.utils.errors import UsageError

__all__ = ["ItemSampler", "balanced_weights"]


class ItemSampler(Sampler[tuple[int, int]]):
    """Sampler of `(index, draw)` pairs, with epochs of equal length.

    Without weights, permutations of all items follow one another without a gap, so an
    epoch need not end with one. With weights, items are drawn with replacement.
    Lightning calls `set_epoch`, also after a resume.
    """

    def __init__(
        self,
        num_items: int,
        num_samples: int,
        *,
        weights: Tensor | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """Checks the arguments.

        Args:
            num_items: Number of items, at least 1.
            num_samples: Samples of one epoch and process.
            weights: Tensor (num_items,) of probabilities up to a factor; None for
                permutations.
            seed: Seed of the order.
            rank: Rank of this process, in [0, world_size).
            world_size: Number of processes.

        Raises:
            ValueError: If an argument is out of range.
        """
        if weights is not None and len(weights) != num_items:
            raise ValueError(
                f"Invalid weights of {len(weights)} items: there are {num_items}."
            )
        # Checks the other arguments.
        ResumableClipSampler(
            num_items, rank=rank, world_size=world_size, num_samples=num_samples
        )
        self.num_items = num_items
        self.num_samples = num_samples
        self.weights = weights
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch that the next iteration yields, counted from 0."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.num_samples

    def __iter__(self) -> Iterator[tuple[int, int]]:
        total = self.num_samples * self.world_size
        first = self.epoch * total
        if self.weights is None:
            return iter(
                ResumableClipSampler(
                    self.num_items,
                    seed=self.seed,
                    start_sample=first,
                    rank=self.rank,
                    world_size=self.world_size,
                    num_samples=self.num_samples,
                )
            )
        key = f"balanced/{self.seed}/{self.epoch}".encode()
        digest = hashlib.blake2b(key, digest_size=8).digest()
        generator = torch.Generator().manual_seed(
            int.from_bytes(digest, "little") % 2**63
        )
        drawn = torch.multinomial(
            self.weights, total, replacement=True, generator=generator
        )
        places = range(self.rank, total, self.world_size)
        return iter([(int(drawn[place]), first + place) for place in places])


def balanced_weights(target: Target, labels: Tensor) -> Tensor:
    """Returns weights that let every class be drawn equally often.

    Args:
        target: A binary or multiclass target.
        labels: float32 tensor (n, 1): labels of the items; those without one are never
            drawn.

    Returns:
        float64 tensor (n,).

    Raises:
        UsageError: If the target has no classes, or no item has a label.
    """
    if target.kind not in ("binary", "multiclass"):
        raise UsageError(
            f"Balanced classes need a binary or multiclass target; this one is "
            f"{target.kind}."
        )
    values = labels[:, 0]
    known = ~values.isnan()
    if not known.any():
        raise UsageError("None of the items to train on has a label.")
    classes, inverse, counts = torch.unique(
        values[known], return_inverse=True, return_counts=True
    )
    weights = torch.zeros(len(values), dtype=torch.float64)
    weights[known] = (1 / (counts * len(classes)).double())[inverse]
    return weights
