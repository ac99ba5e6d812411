"""Weighted metrics equal the metrics of the set with items repeated."""

import pytest
import torch

from lightly_marlin.evaluation import Target
from lightly_marlin.evaluation.metrics.metrics import COUNTS, metrics_for
from lightly_marlin.evaluation.metrics.weighted_metrics import weighted_metrics


def random_set(kind, size, generator):
    count = int(torch.randint(3, 30, (), generator=generator))
    scores = torch.rand(count, size, generator=generator)
    if kind == "regression":
        truth = torch.randn(count, size, generator=generator)
        # Few values: some draws hold one of them alone.
        truth = truth.round()
    elif kind == "multiclass":
        scores = scores.mul(5).softmax(dim=1)
        classes = torch.randint(size, (count,), generator=generator)
        truth = torch.nn.functional.one_hot(classes, size).float()
        truth[0] = torch.nan
        return scores, truth
    else:
        scores = scores.mul(8).round() / 8
        truth = (torch.rand(count, size, generator=generator) < 0.2).float()
    truth[torch.rand(truth.shape, generator=generator) < 0.1] = torch.nan
    return scores, truth


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(
    ("kind", "size"),
    [("binary", 1), ("multilabel", 3), ("multiclass", 3), ("regression", 2)],
)
def test_weighted_metrics__equal_repeated_items(kind, size, seed):
    generator = torch.Generator().manual_seed(seed)
    scores, truth = random_set(kind, size, generator)
    target = Target(kind, tuple("abc"[:size]))
    weights = torch.randint(0, 3, (6, len(scores)), generator=generator)
    weights[0] = 1
    weights[1] = 0
    measured = weighted_metrics(target, scores, truth, weights.float())
    for draw, weight in enumerate(weights):
        rows = torch.arange(len(scores)).repeat_interleave(weight)
        expected = metrics_for(target)(scores[rows], truth[rows])
        assert measured.keys() == expected.keys() - set(COUNTS)
        for name, values in measured.items():
            value = float(values[draw])
            wanted = pytest.approx(expected[name], abs=1e-5, nan_ok=True)
            assert value == wanted, (name, draw)


def test_weighted_metrics__chunks_change_nothing(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    scores, truth = random_set("multilabel", 3, generator)
    target = Target("multilabel", ("a", "b", "c"))
    weights = torch.randint(0, 3, (7, len(scores)), generator=generator).float()
    whole = weighted_metrics(target, scores, truth, weights)
    module = "lightly_marlin.evaluation.metrics.weighted_metrics._CHUNK_CELLS"
    monkeypatch.setattr(module, 2 * scores.numel())
    parts = weighted_metrics(target, scores, truth, weights)
    for name, values in whole.items():
        torch.testing.assert_close(parts[name], values, equal_nan=True)
