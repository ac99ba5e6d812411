"""Metrics against scikit-learn and naive transcriptions, and what is undefined."""

import warnings

import numpy as np
import pytest
import torch
from sklearn import metrics as oracle

from lightly_marlin.evaluation import Target
from lightly_marlin.evaluation.metrics.metrics import (
    higher_is_better,
    metrics_for,
    primary_metric,
)
from lightly_marlin.evaluation.metrics.mosei_metrics import METRIC_SETS
from lightly_marlin.utils.errors import UsageError

BINARY = Target("binary", ("fake",))
SEEDS = range(50)


def random_set(seed, labels):
    """Ties, absent labels, single-class sets and empty labels all occur."""
    generator = np.random.default_rng(seed)
    count = int(generator.integers(1, 40))
    # Whole tenths tie often.
    scores = generator.integers(0, 11, (count, labels)) / 10
    rates = generator.choice([0, 0.1, 0.5, 1], labels)
    truth = (generator.random((count, labels)) < rates).astype(np.float32)
    if seed % 3 == 0:
        truth[generator.random(truth.shape) < 0.2] = np.nan
    return scores.astype(np.float32), truth


def equal_error_rate(scores, truth):
    """Tries every threshold: where both rates are closest, their mean."""
    best = (2.0, None)
    for threshold in (np.inf, *sorted(set(scores), reverse=True)):
        false_positive = (scores[truth == 0] >= threshold).mean()
        false_negative = (scores[truth == 1] < threshold).mean()
        gap = abs(false_positive - false_negative)
        if gap < best[0] - 1e-6:
            best = (gap, (false_positive + false_negative) / 2)
    return best[1]


def same(measured, expected):
    assert measured.keys() == expected.keys()
    for name, value in expected.items():
        assert measured[name] == pytest.approx(value, abs=1e-5, nan_ok=True), name


def column(scores, truth):
    """The metrics of one label by scikit-learn; NaN without both values."""
    known = ~np.isnan(truth)
    s, t = scores[known], truth[known]
    if len(set(t)) < 2:
        return None
    said = s > 0.5
    return {
        "accuracy": oracle.accuracy_score(t, said),
        "balanced_accuracy": oracle.balanced_accuracy_score(t, said),
        "auc": oracle.roc_auc_score(t, s),
        "ap": oracle.average_precision_score(t, s),
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_metrics_for__binary(seed):
    scores, truth = random_set(seed, 1)
    known = ~np.isnan(truth)
    s, t = scores[known], truth[known]
    both = column(scores[:, 0], truth[:, 0])
    nan = float("nan")
    expected = {
        "accuracy/flat": ((s > 0.5) == t).mean() if len(t) else nan,
        "balanced_accuracy": both["balanced_accuracy"] if both else nan,
        "auc/flat": both["auc"] if both else nan,
        "ap/mean": both["ap"] if both else nan,
        "eer": equal_error_rate(s, t) if both else nan,
        "f1/macro": oracle.f1_score(t, s > 0.5, average="macro") if len(t) else nan,
    }
    measured = metrics_for(BINARY)(torch.tensor(scores), torch.tensor(truth))
    same(measured, expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_metrics_for__multilabel(seed):
    scores, truth = random_set(seed, 4)
    known = ~np.isnan(truth)
    flat = column(scores[known], truth[known])
    columns = [column(scores[:, k], truth[:, k]) for k in range(4)]
    kept = [values for values in columns if values]
    nan = float("nan")
    expected = {
        "accuracy/flat": ((scores > 0.5) == truth)[known].mean()
        if known.any()
        else nan,
        "auc/flat": flat["auc"] if flat else nan,
        "labels_left_out": 4 - len(kept),
    }
    for name in ("accuracy", "balanced_accuracy", "auc", "ap"):
        values = [entry[name] for entry in kept]
        expected[f"{name}/mean"] = np.mean(values) if values else nan
    target = Target("multilabel", ("a", "b", "c", "d"))
    same(metrics_for(target)(torch.tensor(scores), torch.tensor(truth)), expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_metrics_for__multiclass(seed):
    generator = np.random.default_rng(seed)
    count = int(generator.integers(1, 30))
    scores = generator.dirichlet(np.ones(4), count).round(1)
    scores = (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)
    classes = generator.choice([0, 1, 3] if seed % 2 else [2, 3], count)
    truth = np.eye(4, dtype=np.float32)[classes]
    said = scores.argmax(axis=1)
    areas = [
        oracle.roc_auc_score(truth[:, k], scores[:, k])
        for k in range(4)
        if 0 < truth[:, k].sum() < count
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        balanced = oracle.balanced_accuracy_score(classes, said)
    expected = {
        "accuracy/flat": (said == classes).mean(),
        "balanced_accuracy": balanced if len(set(classes)) > 1 else float("nan"),
        "f1/macro": oracle.f1_score(classes, said, average="macro"),
        "auc/mean": np.mean(areas) if areas else float("nan"),
        "labels_left_out": 4 - len(areas),
    }
    target = Target("multiclass", ("a", "b", "c", "d"))
    rows = torch.tensor(scores), torch.tensor(truth)
    same(metrics_for(target)(*rows), expected)
    # An item without a label changes nothing.
    empty = torch.full((1, 4), torch.nan)
    more = torch.cat([rows[0], torch.full((1, 4), 0.25)]), torch.cat([rows[1], empty])
    same(metrics_for(target)(*more), expected)


@pytest.mark.parametrize("seed", range(10))
def test_metrics_for__regression(seed):
    generator = np.random.default_rng(seed)
    truth = generator.normal(size=(20, 2)).astype(np.float32)
    scores = (truth + generator.normal(size=(20, 2))).astype(np.float32)
    truth[3, 0] = np.nan
    columns = [(scores[:, k], truth[:, k], ~np.isnan(truth[:, k])) for k in (0, 1)]
    expected = {
        "mae": np.mean([np.abs(s - t)[known].mean() for s, t, known in columns]),
        "pearson": np.mean(
            [np.corrcoef(s[known], t[known])[0, 1] for s, t, known in columns]
        ),
    }
    target = Target("regression", ("a", "b"))
    same(metrics_for(target)(torch.tensor(scores), torch.tensor(truth)), expected)


def test_metrics_for__constant_values_have_no_correlation():
    truth = torch.tensor([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0]])
    target = Target("regression", ("a", "b"))
    # A constant truth is left out; constant scores are not.
    good = metrics_for(target)(torch.tensor([[0.0, 1], [1, 2], [2, 3]]), truth)
    assert good["pearson"] == pytest.approx(1)
    constant = metrics_for(target)(torch.full((3, 2), 0.1), truth)
    assert np.isnan(constant["pearson"])
    assert constant["mae"] == pytest.approx((0.1 + 0.9 + 1.9 + 3 * 4.9) / 6, abs=1e-5)


def test_metrics_for__label_without_positives_is_left_out():
    # torchmetrics' macro average counts such a label as an AUC of 0.
    scores = torch.tensor([[0.9, 0.2], [0.1, 0.8]])
    truth = torch.tensor([[1.0, 0], [0, 0]])
    measured = metrics_for(Target("multilabel", ("a", "b")))(scores, truth)
    assert measured["auc/mean"] == 1
    assert measured["labels_left_out"] == 1


def test_metrics_for__no_items():
    for kind, names in (("multilabel", ("a", "b")), ("multiclass", ("a", "b"))):
        empty = torch.zeros(0, 2)
        measured = metrics_for(Target(kind, names))(empty, empty)
        assert measured.pop("labels_left_out") == 2
        assert all(np.isnan(value) for value in measured.values())


def test_metrics_for__extra_sets(monkeypatch):
    signs = lambda s, t: {"sign": float((s * t > 0).sum())}  # noqa: E731
    monkeypatch.setitem(METRIC_SETS, "signs", signs)
    target = Target("regression", ("sentiment",))
    values = torch.tensor([[1.0], [-2.0]])
    measured = metrics_for(target, ["signs"])(values, values)
    assert measured == {"mae": 0, "pearson": pytest.approx(1), "sign": 2}
    with pytest.raises(UsageError, match=r"Unknown set of metrics 'sings'.*signs"):
        metrics_for(target, ["sings"])


@pytest.mark.parametrize("value", [1.5, -0.2, float("nan")])
def test_metrics_for__refuses_logits(value):
    truth = torch.tensor([[1.0], [0.0]])
    with pytest.raises(ValueError, match=r"score of 'fake' in row 1.*Target.scores"):
        metrics_for(BINARY)(torch.tensor([[0.5], [value]]), truth)


def test_metrics_for__refuses_other_shapes():
    with pytest.raises(ValueError, match=r"scores \(2, 2\).*\(n, 1\)"):
        metrics_for(BINARY)(torch.zeros(2, 2), torch.zeros(2, 2))


def test_primary_metric__is_measured_and_ranked():
    both = torch.tensor([[0.2, 0.8], [0.9, 0.1]])
    for kind, names in (
        ("binary", ("a",)),
        ("multilabel", ("a", "b")),
        ("multiclass", ("a", "b")),
        ("regression", ("a", "b")),
    ):
        target = Target(kind, names)
        rows = both[:, : len(names)]
        measured = metrics_for(target)(rows, rows.round())
        assert primary_metric(target) in measured
    assert not higher_is_better("mae")
    assert not higher_is_better("window/eer")
    assert higher_is_better("auc/flat")
