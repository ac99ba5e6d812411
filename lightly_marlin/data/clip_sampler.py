"""Sampler whose order is a pure function of seed and position."""

from __future__ import annotations

from collections.abc import Iterator, Sized

import torch
from torch.utils.data import Sampler

from lightly_marlin.data.keyed_permutation import KeyedPermutation

__all__ = ["ResumableClipSampler"]

MAX_LISTED = 2**24
"""Tracks up to which an epoch's order is a list, 8 bytes each in every process."""


class ResumableClipSampler(Sampler[tuple[int, int]]):
    """Sampler of `(index, draw)` pairs, endless or of a given length.

    Every epoch is a permutation of all tracks, so each is drawn once per epoch
    regardless of its length; `draw` is the number of the epoch and determines the start
    of the clip in its track. The pair at a position depends only on the seed and the
    position: training that resumes at sample k sees exactly the same samples as without
    interruption, with any number of workers. The only state to save is the number of
    samples.

    With several processes, position p belongs to rank p % world_size.

    Lightning replaces samplers in distributed training: pass
    `use_distributed_sampler=False` to its trainer and the rank here.
    """

    def __init__(
        self,
        tracks: int | Sized,
        *,
        seed: int = 0,
        start_sample: int = 0,
        shuffle: bool = True,
        rank: int = 0,
        world_size: int = 1,
        num_samples: int | None = None,
    ) -> None:
        """Checks the arguments.

        Args:
            tracks: Number of tracks, or a data set of them.
            seed: Seed of the permutations.
            start_sample: Number of samples that all processes together have already
                consumed.
            shuffle: Permute every epoch; otherwise go through the tracks in order.
            rank: Rank of this process, in [0, world_size).
            world_size: Number of processes.
            num_samples: Number of pairs to yield in this process; None for an endless
                sampler.

        Raises:
            ValueError: If an argument is out of range.
        """
        self.num_tracks = tracks if isinstance(tracks, int) else len(tracks)
        if self.num_tracks < 1:
            raise ValueError(f"Invalid tracks {self.num_tracks}: must be at least 1.")
        if start_sample < 0:
            raise ValueError(
                f"Invalid start_sample {start_sample}: must be at least 0."
            )
        if not 0 <= rank < world_size:
            raise ValueError(f"Invalid rank {rank}: must be in [0, {world_size}).")
        if num_samples is not None and num_samples < 0:
            raise ValueError(f"Invalid num_samples {num_samples}: must be at least 0.")
        self.seed = seed
        self.start_sample = start_sample
        self.shuffle = shuffle
        self.rank = rank
        self.world_size = world_size
        self.num_samples = num_samples

    def __len__(self) -> int:
        if self.num_samples is None:
            raise TypeError(
                "This sampler has no end; give it num_samples for a length."
            )
        return self.num_samples

    @property
    def epoch_length(self) -> int:
        """Positions of an epoch, over all processes together."""
        return self.num_tracks

    def __iter__(self) -> Iterator[tuple[int, int]]:
        position = self.start_sample + self.rank
        order_epoch = -1
        order: torch.Tensor | KeyedPermutation = torch.empty(0, dtype=torch.int64)
        count = 0
        while self.num_samples is None or count < self.num_samples:
            epoch, place = divmod(position, self.epoch_length)
            if epoch != order_epoch:
                order_epoch, order = epoch, self._order(epoch)
            yield int(order[place]), epoch
            position += self.world_size
            count += 1

    def _order(self, epoch: int) -> torch.Tensor | KeyedPermutation:
        """Returns the order of the tracks in an epoch, epoch_length integers."""
        if not self.shuffle:
            return torch.arange(self.num_tracks)
        if self.num_tracks > MAX_LISTED:
            return KeyedPermutation(self.num_tracks, f"{self.seed}/{epoch}")
        return torch.randperm(self.num_tracks, generator=self._generator(epoch))

    def _generator(self, epoch: int) -> torch.Generator:
        # Neighbouring seeds and epochs must not share permutations.
        mixed = (self.seed * 1_000_003 + epoch) % 2**63
        return torch.Generator().manual_seed(mixed)
