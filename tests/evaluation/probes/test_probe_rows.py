"""Rows of labelled windows, their loss, and standardizing."""

import math
from dataclasses import replace

import pytest
import torch

from lightly_marlin.evaluation.probes.probe_rows import (
    ProbeRows,
    check_vectors,
    standardizer,
)
from lightly_marlin.utils.errors import UsageError


def test_probe_rows__windows_of_labelled_items(make_problem):
    problem = make_problem(count=6, statuses=["ok", "no_face", "ok", "ok", "ok", "ok"])
    labels = problem.table.labels.clone()
    labels[3] = torch.nan
    table = replace(problem.table, labels=labels)
    rows = ProbeRows.of(problem.features, table, [0, 1, 3, 5])
    # Item 1 has no windows and item 3 no label.
    assert rows.item_of_row.tolist() == [0, 0, 1, 1]
    assert torch.equal(rows.item_labels, labels[[0, 5]])
    assert torch.equal(rows.labels, labels[[0, 0, 5, 5]])
    wanted = problem.features.features[problem.features.rows_of([0, 5])]
    assert torch.equal(rows.features, wanted)


def test_probe_rows__loss_is_that_of_items(make_problem):
    problem = make_problem(count=2)
    labels = torch.tensor([[1.0], [0.0]])
    table = replace(problem.table, labels=labels)
    rows = ProbeRows.of(problem.features, table, [0, 1])
    scores = torch.tensor([[0.2], [0.6], [0.1], [0.3]])
    expected = -(math.log(0.4) + math.log(0.8)) / 2
    assert rows.item_loss(table.target, scores) == pytest.approx(expected, abs=1e-6)


def test_check_vectors__tokens(make_problem):
    problem = make_problem(count=6, tokens=4)
    rows = ProbeRows.of(problem.features, problem.table, [0, 1])
    with pytest.raises(UsageError, match=r"exact probe.*\(4, 4, 8\).*attentive"):
        check_vectors(rows, "exact")


def test_standardizer__mean_and_deviation_of_training():
    generator = torch.Generator().manual_seed(0)
    features = 1000 + 3 * torch.randn(500, 4, generator=generator)
    features[:, 2] = 0.1
    standardized = standardizer(features)(features)
    assert standardized.dtype == torch.float32
    varied = standardized[:, [0, 1, 3]]
    torch.testing.assert_close(varied.mean(0), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(
        varied.std(0, correction=0), torch.ones(3), atol=1e-4, rtol=0
    )
    assert torch.equal(standardized[:, 2], torch.zeros(500))


def test_standardizer__equals_batch_norm():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(64, 5, generator=generator) * 4 + 1
    norm = torch.nn.BatchNorm1d(5, affine=False, eps=1e-6)
    torch.testing.assert_close(standardizer(features)(features), norm(features))
