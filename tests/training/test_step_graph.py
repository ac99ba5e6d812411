"""Everything of a graph but the capture itself, which needs a GPU."""

import pytest
import torch
from small_marlin import recorded
from torch import nn

from lightly_marlin.training.step_graph import StepGraph


class _Step:
    """A step of SGD that notes how it was called."""

    def __init__(self):
        torch.manual_seed(0)
        self.model = nn.Linear(3, 1)
        self.optimizer = torch.optim.SGD(self.model.parameters(), 0.1)
        self.addresses = []

    def __call__(self, inputs):
        self.addresses.append(inputs["x"].data_ptr())
        loss = (self.model(inputs["x"]) - inputs["y"]).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"loss": loss.detach()}


def batches(count):
    generator = torch.Generator().manual_seed(1)
    for _ in range(count):
        yield {
            "x": torch.randn(4, 3, generator=generator),
            "y": torch.randn(4, 1, generator=generator),
        }


@pytest.mark.parametrize("warmup", [0, 2])
def test_equals_the_update(warmup):
    plain, step = _Step(), _Step()
    graph = StepGraph(step, warmup=warmup, capture=recorded)
    kept = [(plain(batch), graph(batch)) for batch in batches(6)]
    for expected, actual in kept:
        torch.testing.assert_close(actual, expected, rtol=0, atol=0)
    pairs = zip(plain.model.parameters(), step.model.parameters(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)
    # Warm-up steps read the batch itself, replays the same memory.
    assert len(set(step.addresses[warmup:])) == 1


def test_is_captured_once():
    captures = []

    def counted(update, inputs):
        captures.append(inputs)
        return recorded(update, inputs)

    graph = StepGraph(_Step(), warmup=1, capture=counted)
    for batch in batches(4):
        graph(batch)
    assert len(captures) == 1


@pytest.mark.parametrize("change", ["shape", "dtype", "name"])
def test_other_inputs_are_refused(change):
    graph = StepGraph(_Step(), warmup=0, capture=recorded)
    (batch,) = batches(1)
    graph(batch)
    other = {
        "shape": {**batch, "x": batch["x"][:3]},
        "dtype": {**batch, "x": batch["x"].double()},
        "name": {"x": batch["x"]},
    }[change]
    with pytest.raises(ValueError, match="the graph was captured with"):
        graph(other)
