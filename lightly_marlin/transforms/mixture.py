"""Mixtures of masking strategies, with shares that can change during training."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Generator, Tensor

from lightly_marlin.transforms.clip_draws import ClipDraws, Randomness
from lightly_marlin.transforms.sample import Sample
from lightly_marlin.transforms.token_selection import copy_to_device, draw_uniform
from lightly_marlin.transforms.worker_stream import WorkerStream

__all__ = ["MaskMixture", "MixtureSchedule", "mixture_token_mask"]


@dataclass(frozen=True)
class MixtureSchedule:
    """Shares of the strategies, linear from `start` to `end` over `steps` steps.

    Attributes:
        start: Shares at step 0, one per strategy, not negative, that add up to 1.
        end: Shares from step `steps` on; None to stay at `start`.
        steps: Length of the change, at least 1.
    """

    start: tuple[float, ...]
    end: tuple[float, ...] | None = None
    steps: int = 1

    def __post_init__(self) -> None:
        """Checks shares and length.

        Raises:
            ValueError: If the numbers of shares differ, shares do not add up to 1, or
                `steps` is below 1.
        """
        for shares in (self.start, self.start if self.end is None else self.end):
            _check_shares(shares, len(self.start))
        if self.steps < 1:
            raise ValueError(f"Invalid steps {self.steps}: must be at least 1.")

    def __call__(self, step: int) -> tuple[float, ...]:
        """Returns the shares at a step, counted from 0."""
        if self.end is None:
            return self.start
        done = min(max(step / self.steps, 0.0), 1.0)
        return tuple(
            (1 - done) * first + done * last
            for first, last in zip(self.start, self.end, strict=True)
        )


def mixture_token_mask(
    masks: Sequence[tuple[Tensor, Tensor]],
    shares: Sequence[float],
    *,
    generator: Randomness | None = None,
) -> tuple[Tensor, Tensor]:
    """Selects, for each clip of a batch, the mask of one of several strategies.

    In a batch, each strategy gets its share of the clips, rounded up or down; the clips
    are drawn at random, and over many batches each clip has each strategy with the
    probability of its share. By `ClipDraws`, which know nothing of a clip's batch, the
    shares of a batch are nearly so.

    Args:
        masks: Masks that the strategies drew for the whole batch: tuples (idx_keep,
            idx_mask) of int64 indices, all of the same shapes (B, n_keep) and (B,
            n_mask).
        shares: Share of each strategy, not negative; they add up to 1.
        generator: Source of randomness, of any device, or `ClipDraws`; None for torch's
            global one.

    Returns:
        Tuple (idx_keep, idx_mask), each row from one of `masks`.

    Raises:
        ValueError: If shapes differ or shares are out of range.
    """
    _check_shares(shares, len(masks))
    shapes = [(tuple(keep.shape), tuple(mask.shape)) for keep, mask in masks]
    if len(set(shapes)) != 1:
        raise ValueError(
            f"Invalid masks: all must have the same shapes, got {shapes}. Use one "
            "mask_ratio for all strategies."
        )
    device = masks[0][0].device
    bounds = torch.tensor(list(accumulate(shares))[:-1], device=device)
    place = _places(len(masks[0][0]), device, generator)
    chosen = torch.bucketize(place, bounds, right=True)
    idx_keep, idx_mask = masks[0]
    for number, (keep, mask) in enumerate(masks[1:], start=1):
        here = chosen.eq(number).unsqueeze(1)
        idx_keep = torch.where(here, keep, idx_keep)
        idx_mask = torch.where(here, mask, idx_mask)
    return idx_keep, idx_mask


def _places(batch: int, device: torch.device, generator: Randomness | None) -> Tensor:
    """Draws float32 (B,) in [0, 1): uniforms, evenly spread over the batch."""
    if isinstance(generator, ClipDraws):
        return copy_to_device(generator.spread(), device)
    start = draw_uniform((1,), device, generator)
    rank = draw_uniform((batch,), device, generator).argsort()
    # Rounding must not reach 1, which may belong to a strategy with a share of 0.
    return ((rank + start) / batch).clamp(max=1 - 2**-24)


class MaskMixture:
    """Adds the mask of one of several transforms to a sample, drawn by their shares.

    The schedule's step is in shared memory: workers that prefetch see what `set_step`
    sets in the training process, in the samples that they begin after it.

    Args:
        transforms: Transforms that add masks of the same sizes.
        shares: Shares of the transforms, or their schedule.
        generator: Source of randomness; None for torch's global one. In DataLoader
            workers, see `worker_stream`.

    Raises:
        ValueError: If the numbers of transforms and shares differ.
    """

    def __init__(
        self,
        transforms: Sequence[Callable[[Sample], dict[str, Any]]],
        shares: MixtureSchedule | tuple[float, ...],
        generator: Generator | None = None,
    ) -> None:
        if not isinstance(shares, MixtureSchedule):
            shares = MixtureSchedule(tuple(shares))
        if len(shares.start) != len(transforms):
            raise ValueError(
                f"Invalid shares {shares.start}: must be as many as transforms, "
                f"{len(transforms)}."
            )
        self.transforms = tuple(transforms)
        self.schedule = shares
        self.generator = generator
        self._stream = WorkerStream()
        step = torch.zeros((), dtype=torch.int64)
        self._step = step.share_memory_()  # type: ignore[no-untyped-call]

    def set_step(self, step: int) -> None:
        """Sets the training step, counted from 0, in all processes."""
        self._step.fill_(step)

    def __call__(self, sample: Sample) -> dict[str, Any]:
        """Returns the sample with the entries that the drawn transform adds."""
        draw = float(draw_uniform((), None, self._stream(self.generator)))
        shares = self.schedule(int(self._step))
        index = bisect(list(accumulate(shares))[:-1], draw)
        return self.transforms[index](sample)


def _check_shares(shares: Sequence[float], count: int) -> None:
    fits = count > 0 and len(shares) == count
    # Written so that NaN does not pass.
    if not (fits and min(shares) >= 0 and abs(sum(shares) - 1) <= 1e-6):
        raise ValueError(
            f"Invalid shares {tuple(shares)}: must be {count} numbers, not negative, "
            "that add up to 1."
        )
