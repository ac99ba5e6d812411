"""Random-number streams for transforms, one for each DataLoader worker.

A DataLoader gives every worker a copy of its transforms, including an explicit
generator in the same state: all workers would draw the same masks, and again in every
epoch. The generator is therefore reseeded once in each worker.

Reproducibility: in one process, masks depend on the generator alone. With workers, they
depend on the generator's seed, the number of workers and the number of times the
transform was passed to workers before (once per epoch, or only once with
`persistent_workers`), not on torch's own seed. A different number of workers gives
different masks. Without a generator, masks depend on torch's global one, which the
DataLoader seeds in every worker.

- [0]: https://github.com/pytorch/pytorch/issues/146828
"""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler

import numpy as np
import torch
from torch import Generator
from torch.utils.data import get_worker_info

__all__ = ["WorkerStream"]

_SLOTS = 256
"""Number of workers with separate start counts; further ones share these counts."""

_seeded: set[Generator] = set()
"""Generators with this worker's seed: transforms that shared one still share it.

Kept as long as the worker runs: PyTorch 2.11 allows no weak references to generators.
"""


class WorkerStream:
    """Random-number stream of a transform, with a separate start in each worker.

    The starts of each worker are counted in memory shared by all processes.
    """

    def __init__(self) -> None:
        starts = torch.zeros(_SLOTS, dtype=torch.int64)
        self._starts = starts.share_memory_()  # type: ignore[no-untyped-call]
        self._begun = False

    def __call__(self, generator: Generator | None) -> Generator | None:
        """Returns `generator`, which a worker reseeds at the first call."""
        worker = get_worker_info()
        if generator is None or worker is None or self._begun:
            return generator
        self._begun = True
        slot = worker.id % _SLOTS
        start = int(self._starts[slot])
        self._starts[slot] = start + 1
        if generator not in _seeded:
            entropy = [generator.initial_seed(), worker.id, start]
            (seed,) = np.random.SeedSequence(entropy).generate_state(1, np.uint64)
            generator.manual_seed(int(seed) >> 1)
            _seeded.add(generator)
        return generator


def _reduce(
    generator: Generator,
) -> tuple[Callable[[str, bytes], Generator], tuple[str, bytes]]:
    state = generator.get_state().numpy().tobytes()
    return _rebuild, (str(generator.device), state)


def _rebuild(device: str, state: bytes) -> Generator:
    generator = Generator(device)
    generator.set_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))
    return generator


# torch passes the state as a tensor in shared memory that is freed too early, so no
# generator reaches a spawned process [0]. As bytes it does.
ForkingPickler.register(Generator, _reduce)
