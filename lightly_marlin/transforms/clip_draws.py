"""Random numbers of clips, each a pure function of the clip's place in the training.

A generator that is seeded per step and process gives a clip other numbers when the
number of devices changes. Here every clip has a stream of its own, told by its
position: how many clips the whole training has seen before it. A resumed run therefore
draws what an uninterrupted one would, on any number of devices, with no saved state.

The numbers are those of SplitMix64 [0]: a counter, mixed. Counters of clips, of draws
and of numbers within a draw are mixed one after the other. All of it is integer
arithmetic on the CPU, so the numbers are the same on every machine.

- [0]: Steele, Lea, Flood, 2014, https://doi.org/10.1145/2660193.2660195
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

__all__ = ["ClipDraws", "Randomness", "step_positions"]

_Words: TypeAlias = NDArray[np.uint64]

# 2**64 divided by the golden ratio.
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FACTORS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31)


class ClipDraws:
    """Uniform random numbers of the clips of a batch.

    Masks take it in place of a generator. What a clip gets depends on the seed, the
    stream, its position and how many draws were made before, and not on the clips
    beside it.

    Args:
        seed: Seed of the run, 0 or more.
        positions: Number of each clip in the training, 0 or more: int64 (B,).
        stream: Number of the use, 0 or more: uses with different numbers draw
            independently: 0 for masks, 1 for augmentation, 2 and 3 for those of a
            track's second clip, 4 for the gradient penalty.
    """

    def __init__(
        self, seed: int, positions: Sequence[int] | Tensor, *, stream: int = 0
    ) -> None:
        entropy = np.random.SeedSequence([seed, stream])
        self._start, self._draw_start = entropy.generate_state(2, np.uint64)
        self._positions = np.asarray(positions, np.int64).astype(np.uint64)
        self._clips = _mixed(self._start + (self._positions + np.uint64(1)) * _GOLDEN)
        self._draws = 0

    def __len__(self) -> int:
        return len(self._clips)

    def uniform(
        self,
        shape: tuple[int, ...],
        *,
        batch_dim: int = 0,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Draws uniforms in [0, 1).

        Args:
            shape: Shape of the result.
            batch_dim: Its dimension of clips, of length B.
            dtype: float32 for multiples of 2**-24, float64 for those of 2**-53.

        Returns:
            Tensor on the CPU.

        Raises:
            ValueError: If the shape has another number of clips.
        """
        if shape[batch_dim] != len(self):
            raise ValueError(
                f"Invalid shape {shape}: dimension {batch_dim} must be {len(self)}, "
                "the number of clips that numbers are drawn for."
            )
        rest = shape[:batch_dim] + shape[batch_dim + 1 :]
        keys = _mixed(self._clips ^ self._next_draw())
        counter = np.arange(1, math.prod(rest) + 1, dtype=np.uint64) * _GOLDEN
        words = _mixed(keys[:, None] + counter)
        return _fractions(words, dtype).view(len(self), *rest).movedim(0, batch_dim)

    def spread(self) -> Tensor:
        """Draws a uniform for each clip, such that those of a batch are far apart.

        Clips at successive positions are a golden section apart on a circle: however
        it is divided into arcs, every run of clips divides nearly in proportion, and a
        clip alone is anywhere with equal probability.

        Returns:
            float32 tensor (B,) on the CPU, in [0, 1).
        """
        words = self._next_draw() + self._positions * _GOLDEN
        return _fractions(words, torch.float32)

    def generator(self) -> Generator:
        """Returns a generator on the CPU that is seeded by the first clip.

        For what can only draw for a batch as a whole.
        """
        word = _mixed(self._clips[:1] ^ self._next_draw()).sum()
        return Generator().manual_seed(int(word) >> 1)

    def _next_draw(self) -> _Words:
        self._draws += 1
        return _mixed(self._draw_start + np.array([self._draws], np.uint64) * _GOLDEN)


Randomness: TypeAlias = Generator | ClipDraws
"""Source of the random numbers of a batch: of all of it at once, or clip by clip."""


def step_positions(
    batch: int, samples_seen: int, rank: int = 0, world_size: int = 1
) -> Tensor:
    """Returns the positions of a process's clips, as `ResumableClipSampler` deals them.

    Args:
        batch: Clips B of this process.
        samples_seen: Clips that all processes together have seen before.
        rank: Number of this process.
        world_size: Number of processes.

    Returns:
        int64 tensor (B,).
    """
    return samples_seen + rank + world_size * torch.arange(batch)


def _mixed(words: _Words) -> _Words:
    """Returns SplitMix64's words of a counter; it may write to `words`."""
    for factor, shift in zip(_FACTORS, _SHIFTS, strict=False):
        words = words ^ (words >> shift)
        words *= factor
    words ^= words >> _SHIFTS[2]
    return words


def _fractions(words: _Words, dtype: torch.dtype) -> Tensor:
    """Returns words as numbers in [0, 1), by as many of their bits as fit."""
    bits = 53 if dtype == torch.float64 else 24
    # Whole numbers of so few bits and their shares of a power of 2 are exact.
    whole = torch.from_numpy((words >> np.uint64(64 - bits)).astype(np.int64))
    return whole.to(dtype).mul_(2.0**-bits)
