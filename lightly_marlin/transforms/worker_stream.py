"""Streams of random numbers for transforms, one in every worker of a DataLoader.

A DataLoader hands every worker a copy of its transforms, and with it a copy of an
explicit generator, in the same state: all workers would draw the same masks, and the
same again in every epoch. So in a worker the generator is seeded anew, once.

What a seed promises: in one process, masks follow from the generator alone. With
workers, they follow from the generator's seed, the number of workers and how often the
transform was handed to workers before (once an epoch, or once for all with
`persistent_workers`), not from torch's own seed. Another number of workers gives other
masks. Without a generator, masks follow from torch's global one, which the DataLoader
seeds in every worker.

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
"""Workers whose starts are counted apart; the next one shares the first one's count."""

_seeded: set[Generator] = set()
"""Generators with the seed of this worker: transforms that share one still do.

Kept as long as the worker runs: PyTorch 2.11 allows no weak references to generators.
"""


class WorkerStream:
    """Stream of a transform's random numbers, with a start of its own in a worker.

    How often each worker began is counted in memory that all processes share.
    """

    def __init__(self) -> None:
        starts = torch.zeros(_SLOTS, dtype=torch.int64)
        self._starts = starts.share_memory_()  # type: ignore[no-untyped-call]
        self._begun = False

    def __call__(self, generator: Generator | None) -> Generator | None:
        """Returns `generator`, in a worker with a seed of the worker's own."""
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


# torch hands the state over as a tensor in shared memory that is freed too early: no
# generator reaches a process that is spawned [0]. As bytes it does.
ForkingPickler.register(Generator, _reduce)
