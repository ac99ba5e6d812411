"""Means over windows, and the loss that settings are chosen by."""

import math

import pytest
import torch

from lightly_marlin.evaluation import Target
from lightly_marlin.evaluation.metrics.item_scores import (
    loss_of_scores,
    mean_over_windows,
)


def test_mean_over_windows__items_without_windows_are_nan():
    scores = torch.tensor([[0.2], [0.4], [1.0]])
    means = mean_over_windows(scores, torch.tensor([0, 0, 2]), 3)
    expected = torch.tensor([[0.3], [torch.nan], [1.0]])
    torch.testing.assert_close(means, expected, equal_nan=True)


def test_mean_over_windows__a_thousand_windows():
    scores = torch.full((1000, 2), 0.1)
    means = mean_over_windows(scores, torch.zeros(1000, dtype=torch.int64), 1)
    assert torch.equal(means, torch.full((1, 2), 0.1))


def test_loss_of_scores__known_values():
    nan = math.nan
    binary = loss_of_scores(
        Target("multilabel", ("a", "b")),
        torch.tensor([[0.8, 0.5], [0.4, 0.1]]),
        torch.tensor([[1.0, nan], [0.0, 0.0]]),
    )
    expected = -(math.log(0.8) + math.log(0.6) + math.log(0.9)) / 3
    assert binary == pytest.approx(expected, abs=1e-6)
    classes = loss_of_scores(
        Target("multiclass", ("a", "b")),
        torch.tensor([[0.25, 0.75], [0.5, 0.5]]),
        torch.tensor([[1.0], [nan]]),
    )
    assert classes == pytest.approx(-math.log(0.75), abs=1e-6)
    values = loss_of_scores(
        Target("regression", ("a",)), torch.tensor([[3.0]]), torch.tensor([[1.0]])
    )
    assert values == 2


def test_loss_of_scores__certain_and_wrong_is_finite():
    for kind, names, labels in (
        ("binary", ("a",), [[1.0]]),
        ("multiclass", ("a", "b"), [[1.0]]),
    ):
        scores = torch.tensor([[0.0], [1.0]]).T[:, : len(names)]
        if kind == "multiclass":
            scores = torch.tensor([[1.0, 0.0]])
        loss = loss_of_scores(Target(kind, names), scores, torch.tensor(labels))
        assert loss == pytest.approx(-math.log(1e-6), rel=1e-3)
