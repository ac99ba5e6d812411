"""Attentive probe: finds what the mean of tokens hides, chooses on validation."""

from dataclasses import replace

import pytest
import torch

from lightly_marlin.evaluation.metrics.metrics import primary_metric
from lightly_marlin.evaluation.probes.attentive_probe import (
    AttentiveHead,
    attentive_probe,
    fit_attentive,
)
from lightly_marlin.evaluation.probes.exact_probe import exact_probe
from lightly_marlin.evaluation.probes.probe_rows import ProbeRows
from lightly_marlin.utils.errors import UsageError


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_attentive_probe__learns(make_problem, kind):
    problem = make_problem(kind, tokens=4)
    options = {"folds": [problem.fold], "draws": 20, "batch_size": 8}
    result = attentive_probe(problem.features, problem.table, **options)
    name = primary_metric(problem.table.target)
    if kind == "regression":
        assert result.metrics[name] < 0.7 * result.constant[name]
    else:
        assert result.metrics[name] > result.constant[name] + 0.25
    assert result.protocol["tokens"] == [4, 8]


def test_attentive_probe__sees_one_token_among_many(make_problem):
    problem = make_problem(count=240, tokens=8)
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(problem.features.features.shape, generator=generator)
    labels = problem.table.labels[problem.features.item_of_row, 0]
    place = torch.randint(8, (len(features),), generator=generator)
    rows = torch.arange(len(features))
    # A marked token at a random place whose sign is the label; the noise of the other
    # tokens covers it in the mean.
    features[rows, place] = 0.0
    features[rows, place, 0] = 6.0
    features[rows, place, 1] = 1.5 * (2 * labels - 1)
    tokens = replace(problem.features, features=features)
    options = {"folds": [problem.fold], "draws": 20}
    attentive = attentive_probe(tokens, problem.table, batch_size=8, **options)
    means = replace(tokens, features=features.mean(dim=1))
    mean = exact_probe(means, problem.table, **options)
    assert attentive.metrics["auc/flat"] > mean.metrics["auc/flat"] + 0.05


def test_attentive_probe__seed_decides_everything(make_problem):
    problem = make_problem(count=30, tokens=3)
    options = {"folds": [problem.fold], "draws": 2, "epochs": 2}

    def scores(seed):
        state = torch.random.get_rng_state()
        result = attentive_probe(problem.features, problem.table, seed, **options)
        assert torch.equal(torch.random.get_rng_state(), state)
        return result.predictions.scores

    assert torch.equal(scores(0), scores(0))
    assert not torch.equal(scores(0), scores(1))


def test_fit_attentive__keeps_the_best_epoch(make_problem):
    problem = make_problem(count=60, tokens=3)
    rows = ProbeRows.of(problem.features, problem.table, problem.fold.train)
    val = ProbeRows.of(problem.features, problem.table, problem.fold.val)
    # Validation labels the wrong way round: every epoch makes it worse.
    wrong = replace(val, item_labels=1 - val.item_labels)
    target = problem.table.target
    fitted = fit_attentive(rows, wrong, target, 0, epochs=8, batch_size=8)
    losses = fitted.chosen["losses"]
    assert len(losses) == 8
    assert fitted.chosen["epoch"] == losses.index(min(losses)) + 1 < 8
    loss = wrong.item_loss(target, fitted.predict(val.features))
    assert loss == pytest.approx(min(losses), abs=1e-6)


def test_fit_attentive__half_precision_tokens(make_problem):
    problem = make_problem(count=30, tokens=3)
    half = replace(problem.features, features=problem.features.features.half())
    rows = ProbeRows.of(half, problem.table, problem.fold.train)
    fitted = fit_attentive(rows, rows, problem.table.target, 0, epochs=1)
    assert fitted.predict(half.features).dtype == torch.float32


@pytest.mark.parametrize(
    ("width", "heads"), [(768, 12), (384, 6), (192, 3), (100, 1), (8, 1)]
)
def test_attentive_head__heads_divide_the_width(width, heads):
    head = AttentiveHead(width, 2)
    assert head.pool.num_heads == heads
    assert head(torch.zeros(3, 4, width)).shape == (3, 2)


def test_attentive_probe__refuses_vectors_and_settings(make_problem):
    problem = make_problem(count=30)
    with pytest.raises(UsageError, match=r"takes tokens.*\(30, 8\)"):
        attentive_probe(problem.features, problem.table, folds=[problem.fold])
    with pytest.raises(ValueError, match=r"epochs \(0\)"):
        attentive_probe(problem.features, problem.table, epochs=0)
