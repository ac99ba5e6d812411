"""Start of a head at the constant predictor."""

import pytest
import torch

from lightly_marlin.evaluation import Target
from lightly_marlin.evaluation.probes.head_start import HeadStart

NAN = torch.nan


@pytest.mark.parametrize(
    ("target", "labels"),
    [
        (Target("multilabel", ("a", "b")), [[1, 0], [0, NAN], [0, 1], [0, 1]]),
        (Target("multiclass", ("a", "b", "c")), [[0], [2], [2], [1]]),
        (Target("regression", ("a",)), [[10.0], [20], [60]]),
    ],
)
def test_head_start__scores_are_the_constant(target, labels):
    labels = torch.tensor(labels, dtype=torch.float32)
    start = HeadStart.of(target, labels)
    scores = start.scores(start.bias[None])[0]
    torch.testing.assert_close(scores, target.constant(labels))


def test_head_start__labels_never_seen_stay_possible():
    target = Target("multilabel", ("a", "b", "c"))
    start = HeadStart.of(target, torch.tensor([[0.0, 1, NAN], [0, 1, NAN]]))
    scores = start.scores(start.bias)
    torch.testing.assert_close(scores, torch.tensor([1e-4, 1 - 1e-4, 0.5]))


def test_head_start__regression_is_trained_in_units_of_its_spread():
    target = Target("regression", ("a", "b"))
    labels = torch.tensor([[100.0, 5], [200, 5], [300, NAN], [NAN, 5]])
    start = HeadStart.of(target, labels)
    scaled = start.scale(labels)
    deviation = torch.tensor([100.0, 200, 300]).std(correction=0)
    torch.testing.assert_close(scaled[:3, 0], torch.tensor([-100, 0, 100]) / deviation)
    # A constant column has no spread to divide by.
    assert scaled[:2, 1].tolist() == [0, 0]
    torch.testing.assert_close(start.scores(scaled), labels, equal_nan=True)


def test_head_start__labels_of_other_kinds_stay():
    target = Target("multiclass", ("a", "b"))
    labels = torch.tensor([[0.0], [1.0]])
    assert torch.equal(HeadStart.of(target, labels).scale(labels), labels)
