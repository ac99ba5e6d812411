"""Generator of a training step, a pure function of seed, step and process."""

from __future__ import annotations

import numpy as np
from torch import Generator

__all__ = ["step_generator"]


def step_generator(
    seed: int, step: int, rank: int = 0, *, stream: int = 0
) -> Generator:
    """Returns a generator on the CPU, always the same for the same arguments.

    A resumed run thus draws what an uninterrupted one would, without a saved state.

    Args:
        seed: Seed of the run, 0 or more.
        step: Number of the step, 0 or more.
        rank: Rank of the process in distributed training.
        stream: Number of the use, 0 or more: uses with different numbers draw
            independently: 0 for masks, 1 for augmentation, 2 and 3 for those of a
            track's second clip.
    """
    # Without a key for 0, masks stay those of earlier versions.
    use = (stream,) if stream else ()
    entropy = np.random.SeedSequence([seed, step, rank], spawn_key=use)
    generator = Generator()
    generator.manual_seed(int(entropy.generate_state(1, np.uint64)[0]) >> 1)
    return generator
