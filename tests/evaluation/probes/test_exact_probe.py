"""Exact probe against scikit-learn alone, and its degenerate labels."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from lightly_marlin.evaluation import Target
from lightly_marlin.evaluation.metrics.metrics import primary_metric
from lightly_marlin.evaluation.probes.exact_probe import exact_probe, fit_exact
from lightly_marlin.evaluation.probes.probe_rows import ProbeRows

KINDS = ("binary", "multilabel", "multiclass", "regression")


def make_rows(labels, width=6, seed=0):
    labels = torch.as_tensor(labels, dtype=torch.float32)
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(len(labels), width, generator=generator)
    features += 0.5 * labels.nan_to_num()[:, :1]
    return ProbeRows(features, labels, torch.arange(len(labels)), labels)


def random_labels(count, columns, values=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(values, (count, columns), generator=generator).float()


@pytest.mark.parametrize("kind", KINDS)
def test_exact_probe__learns(make_problem, kind):
    problem = make_problem(kind)
    result = exact_probe(
        problem.features, problem.table, folds=[problem.fold], draws=20
    )
    name = primary_metric(problem.table.target)
    if kind == "regression":
        assert result.metrics[name] < 0.5 * result.constant[name]
    else:
        assert result.metrics[name] > result.constant[name] + 0.3
    assert result.protocol["name"] == "exact"
    assert result.chosen["test"]["unconverged"] == 0


@pytest.mark.parametrize(
    ("kind", "names"), [("binary", ("a",)), ("multiclass", ("a", "b", "c"))]
)
def test_fit_exact__equals_scikit_learn(kind, names):
    target = Target(kind, names)
    labels = random_labels(80, 1, max(2, len(names)))
    train, val = make_rows(labels), make_rows(labels[:20], seed=1)
    fitted = fit_exact(train, val, target, strengths=[0.1])
    x = train.features.double().numpy()
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    oracle = LogisticRegression(C=0.1, max_iter=1000).fit(x, labels[:, 0].numpy())
    expected = oracle.predict_proba(x)[:, -len(names) :]
    np.testing.assert_allclose(
        fitted.predict(train.features).numpy(), expected, atol=1e-5
    )


def test_fit_exact__regression_equals_ridge():
    labels = random_labels(60, 2, 9)
    labels[5:20, 1] = torch.nan
    train, val = make_rows(labels), make_rows(labels[:20], seed=1)
    fitted = fit_exact(train, val, Target("regression", ("a", "b")), strengths=[0.01])
    x = train.features.double().numpy()
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    scores = fitted.predict(train.features).numpy()
    for column in (0, 1):
        y = labels[:, column].numpy()
        known = ~np.isnan(y)
        oracle = Ridge(alpha=100.0).fit(x[known], y[known])
        np.testing.assert_allclose(scores[:, column], oracle.predict(x), atol=1e-4)


def test_fit_exact__strength_has_the_least_loss_of_items():
    target = Target("multilabel", ("a", "b"))
    # Labels of validation are noise: the strongest penalty loses least there.
    train = make_rows(random_labels(40, 2))
    val = make_rows(random_labels(40, 2, seed=5), seed=7)
    chosen = fit_exact(train, val, target, strengths=[10.0, 1e-5]).chosen
    assert chosen["strength"] == 1e-5
    assert list(chosen["losses"]) == ["1e-05", "10"]
    assert chosen["losses"]["1e-05"] < chosen["losses"]["10"]
    alone = fit_exact(train, val, target, strengths=[1e-5])
    loss = val.item_loss(target, alone.predict(val.features))
    assert chosen["losses"]["1e-05"] == pytest.approx(loss, abs=1e-5)


def test_fit_exact__label_with_one_value_is_constant():
    labels = random_labels(40, 4)
    labels[:, 1] = 0
    labels[:, 2] = 1
    labels[:, 3] = torch.nan
    target = Target("multilabel", ("a", "never", "always", "empty"))
    fitted = fit_exact(make_rows(labels), make_rows(labels[:9], seed=1), target)
    scores = fitted.predict(
        torch.randn(5, 6, generator=torch.Generator().manual_seed(1))
    )
    assert scores[:, 0].unique().numel() == 5
    assert scores[:, 1:].unique(dim=0).tolist() == [[0, 1, 0.5]]


def test_fit_exact__class_without_items_has_probability_0():
    labels = random_labels(40, 1) * 2
    target = Target("multiclass", ("a", "never", "c"))
    fitted = fit_exact(make_rows(labels), make_rows(labels[:9], seed=1), target)
    scores = fitted.predict(make_rows(labels).features)
    assert (scores[:, 1] == 0).all()
    torch.testing.assert_close(scores.sum(dim=1), torch.ones(40))
    assert (scores[:, 2] > 0.5).float().eq(labels[:, 0] / 2).float().mean() > 0.6


def test_fit_exact__empty_labels_do_not_count():
    labels = random_labels(40, 1)
    target = Target("binary", ("a",))
    rows = make_rows(labels)
    val = make_rows(labels[:9], seed=1)
    # More rows of the same mean and deviation, without labels.
    doubled = ProbeRows(
        rows.features.repeat(2, 1),
        torch.cat([labels, torch.full_like(labels, torch.nan)]),
        torch.arange(80),
        torch.cat([labels, torch.full_like(labels, torch.nan)]),
    )
    expected = fit_exact(rows, val, target).predict(rows.features)
    measured = fit_exact(doubled, val, target).predict(rows.features)
    torch.testing.assert_close(measured, expected, atol=1e-5, rtol=0)


def test_fit_exact__counts_what_did_not_converge():
    target = Target("multilabel", ("a", "b"))
    labels = random_labels(40, 2)
    rows, val = make_rows(labels), make_rows(labels[:9], seed=1)
    chosen = fit_exact(rows, val, target, strengths=[10.0], max_iter=1).chosen
    assert chosen["unconverged"] == 2


def test_fit_exact__no_strengths():
    labels = random_labels(10, 1)
    rows = make_rows(labels)
    with pytest.raises(ValueError, match="strengths is empty"):
        fit_exact(rows, rows, Target("binary", ("a",)), strengths=[])
