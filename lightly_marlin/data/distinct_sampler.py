"""Sampler whose batches hold no two tracks of one person or video."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch

from lightly_marlin.data.clip_sampler import ResumableClipSampler
from lightly_marlin.utils.errors import UsageError

__all__ = ["DistinctGroupSampler"]


class DistinctGroupSampler(ResumableClipSampler):
    """Sampler of `(index, draw)` pairs with at most one track per group in a batch.

    Contrastive losses take every other clip of a batch as a negative, wrongly so for
    the same person. In a face store, `person_id` is unique within a video only, so the
    same human in two videos is two people; `source` also keeps people of one video
    apart, who share light and background:

        clips = FaceClipPairs(store)
        sampler = DistinctGroupSampler(clips.column("source"), total_batch=32)

    Otherwise it is a `ResumableClipSampler`: the pair at a position depends on the seed
    and the position alone, and position p belongs to rank p % world_size, so batches
    are distinct over all ranks.

    An epoch has as many full batches as can be filled. Tracks that do not fit are left
    out of the epoch, others in the next: of a group with more tracks than the epoch has
    batches, a random choice of as many takes part, and so does a random choice of what
    remains after the last full batch. `epoch_length` says how many tracks take part.
    """

    def __init__(
        self,
        groups: Sequence[Hashable],
        total_batch: int,
        *,
        seed: int = 0,
        start_sample: int = 0,
        rank: int = 0,
        world_size: int = 1,
        num_samples: int | None = None,
    ) -> None:
        """Plans the batches of an epoch.

        Args:
            groups: Group of each track, for example its person or video.
            total_batch: Clips of a step, of all processes together; a multiple of
                `world_size`.
            seed: Seed of the permutations.
            start_sample: Number of samples that all processes together have already
                consumed; a multiple of `total_batch`.
            rank: Rank of this process, in [0, world_size).
            world_size: Number of processes.
            num_samples: Number of pairs to yield in this process; None for an endless
                sampler.

        Raises:
            UsageError: A ValueError, if there are fewer groups than clips in a batch.
            ValueError: If an argument is out of range.
        """
        super().__init__(
            len(groups),
            seed=seed,
            start_sample=start_sample,
            rank=rank,
            world_size=world_size,
            num_samples=num_samples,
        )
        if total_batch < 1 or total_batch % world_size:
            raise ValueError(
                f"Invalid total_batch {total_batch}: must be a positive multiple of "
                f"world_size {world_size}."
            )
        if start_sample % total_batch:
            raise ValueError(
                f"Invalid start_sample {start_sample}: must be a multiple of "
                f"total_batch {total_batch}."
            )
        numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
        if len(numbers) < total_batch:
            raise UsageError(
                f"Invalid total_batch {total_batch}: there are {len(numbers)} groups, "
                "of which a batch holds one track each. Lower the batch size."
            )
        self.total_batch = total_batch
        self._groups = torch.tensor([numbers[group] for group in groups])
        self._num_batches = _full_batches(self._groups.bincount(), total_batch)

    @property
    def epoch_length(self) -> int:
        """Positions of an epoch, over all processes together."""
        return self._num_batches * self.total_batch

    def _order(self, epoch: int) -> torch.Tensor:
        generator = self._generator(epoch)
        order = torch.randperm(self.num_tracks, generator=generator)
        # Of each group, as many tracks as there are batches.
        kept = order[_rank_in_group(self._groups[order]) < self._num_batches]
        kept = kept[: self.epoch_length]
        # The tracks of a group side by side, dealt to the batches one by one: they are
        # no more than the batches, so no batch gets two.
        places = torch.randperm(int(self._groups.max()) + 1, generator=generator)
        kept = kept[places[self._groups[kept]].argsort(stable=True)]
        batches = kept.view(self.total_batch, self._num_batches).T
        # Otherwise the tracks of a group would lie in neighbouring batches, and large
        # groups at the same place in each.
        batches = batches[torch.randperm(self._num_batches, generator=generator)]
        shuffled = torch.rand(batches.shape, generator=generator).argsort(dim=1)
        return batches.gather(1, shuffled).flatten()


def _full_batches(sizes: torch.Tensor, batch_size: int) -> int:
    """Returns the largest number K of full batches without two of a group.

    K batches can be filled if and only if min(size, K), summed over the groups, is at
    least K * batch_size.

    Args:
        sizes: Number of tracks of each group, int64 (groups,).
        batch_size: Tracks of a batch, at most the number of groups.
    """
    low, high = 1, int(sizes.sum()) // batch_size
    while low < high:
        middle = (low + high + 1) // 2
        if int(sizes.clamp(max=middle).sum()) >= middle * batch_size:
            low = middle
        else:
            high = middle - 1
    return low


def _rank_in_group(groups: torch.Tensor) -> torch.Tensor:
    """Returns how many earlier elements have the same group: int64 (n,)."""
    order = groups.argsort(stable=True)
    sizes = groups.bincount()
    first = sizes.cumsum(0) - sizes
    ranks = torch.empty_like(groups)
    ranks[order] = torch.arange(len(groups)) - first[groups[order]]
    return ranks
