import random

import numpy as np
import pytest
import torch

from lightly_marlin.evaluation.random_state import preserved_random_state


def draw():
    legacy = np.random.rand()  # noqa: NPY002 (what others may draw from)
    return random.random(), legacy, torch.rand(()).item()


def test_preserved_random_state():
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    with preserved_random_state(torch.nn.Linear(1, 1)):
        first = draw()
        assert draw() != first
    # The layer's own weights came from torch's generator, before the state was noted.
    assert draw() == first


def test_preserved_random_state__after_an_error():
    layer = torch.nn.Linear(1, 1)
    states = torch.get_rng_state(), random.getstate()
    with pytest.raises(ZeroDivisionError), preserved_random_state(layer):
        draw()[0] / 0
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1] == random.getstate()
