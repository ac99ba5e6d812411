"""Random generators that are afterwards as they were."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

__all__ = ["preserved_random_state"]


@contextmanager
def preserved_random_state(module: nn.Module) -> Iterator[None]:
    """Restores the global generators of Python, NumPy and torch.

    Args:
        module: Module whose devices' generators are restored as well.
    """
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 (others' state)
    devices = {p.device for p in module.parameters() if p.device.type == "cuda"}
    try:
        with torch.random.fork_rng(devices=list(devices)):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
