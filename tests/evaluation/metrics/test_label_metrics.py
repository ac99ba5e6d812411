"""Metrics of single labels, with known values."""

import math

import numpy as np
import pytest
import torch

from lightly_marlin.evaluation import Target
from lightly_marlin.evaluation.metrics.label_metrics import flat_auc, per_label_metrics


def test_per_label_metrics__labels():
    scores = torch.tensor([[0.9, 0.1], [0.6, 0.2], [0.2, 0.3], [0.4, 0.4]])
    truth = torch.tensor([[1.0, 0], [0, 0], [0, 0], [torch.nan, 0]])
    rows = per_label_metrics(Target("multilabel", ("a", "b")), scores, truth)
    assert list(rows) == ["a", "b"]
    assert rows["a"] == {
        "count": 3,
        "positives": 1,
        "accuracy": pytest.approx(2 / 3),
        "balanced_accuracy": 0.75,
        "auc": 1,
        "ap": 1,
    }
    assert rows["b"]["positives"] == 0
    assert rows["b"]["accuracy"] == 1
    assert np.isnan([rows["b"][name] for name in ("auc", "ap")]).all()


def test_per_label_metrics__classes():
    scores = torch.tensor([[0.8, 0.1, 0.1], [0.6, 0.4, 0], [0.1, 0.9, 0]])
    truth = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 1, 0]])
    rows = per_label_metrics(Target("multiclass", ("a", "b", "c")), scores, truth)
    keys = ("recall", "precision", "f1", "positives")
    assert [rows["a"][key] for key in keys] == [1, 0.5, pytest.approx(2 / 3), 1]
    assert [rows["b"][key] for key in keys] == [0.5, 1, pytest.approx(2 / 3), 2]
    assert np.isnan(rows["c"]["recall"])
    assert rows["c"]["positives"] == 0


def test_flat_auc__counts_pairs_over_all_cells_with_a_label():
    scores = torch.tensor([[0.9, 0.2], [0.3, 0.3], [0.1, 0.8]])
    truth = torch.tensor([[1.0, 0], [1, 0], [torch.nan, 0]])
    # Of 2 * 3 pairs 4 are in order, one is a tie and one is not.
    assert flat_auc(scores, truth) == pytest.approx(4.5 / 6)
    assert math.isnan(flat_auc(scores[:, 1], truth[:, 1]))
    assert math.isnan(flat_auc(scores[:0], truth[:0]))
