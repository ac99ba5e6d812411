"""MOSEI's metrics equal naive loops and scikit-learn, with ties, zeros and gaps."""

import math

import numpy as np
import pytest
import torch
from sklearn import metrics as oracle

from lightly_marlin.evaluation.metrics.mosei_metrics import (
    EMOTIONS,
    METRIC_SETS,
    emotion_metrics,
    sentiment_bins,
    sentiment_metrics,
)


def naive_bin(a):
    """The table of the SDK's README."""
    limits = [(-math.inf, -2, -3), (-2, -1, -2), (-1, 0, -1)]
    for low, high, result in limits:
        if low <= a < high:
            return result
    return 0 if a == 0 else 1 if a <= 1 else 2 if a <= 2 else 3


def naive_sentiment(scores, truth):
    """One rule after the other, over pairs of numbers."""
    pairs = [(s, t) for s, t in zip(scores, truth, strict=True) if not math.isnan(t)]
    nonzero = [(s, t) for s, t in pairs if t != 0]

    def share(rule, over=pairs):
        return sum(rule(s) == rule(t) for s, t in over) / len(over)

    def f1(rule, over=pairs):
        said, true = zip(*[(rule(s), rule(t)) for s, t in over], strict=True)
        return oracle.f1_score(true, said, average="weighted", zero_division=0)

    def rounded(limit):
        return lambda a: round(min(limit, max(-limit, a)))

    return {
        "acc7/sdk_bins": share(naive_bin),
        "acc7/rounded": share(rounded(3)),
        "acc5/rounded": share(rounded(2)),
        "acc2/nonnegative": share(lambda a: a >= 0),
        "f1/nonnegative": f1(lambda a: a >= 0),
        "acc2/positive": share(lambda a: a > 0, nonzero),
        "f1/positive": f1(lambda a: a > 0, nonzero),
        "acc2/nonpositive": share(lambda a: a > 0),
    }


@pytest.mark.parametrize("seed", range(10))
def test_sentiment_metrics__equal_a_transcription(seed):
    generator = np.random.default_rng(seed)
    truth = generator.integers(-9, 10, 60) / 3
    # Halves and zeros are where the rules differ.
    scores = generator.choice([truth, generator.normal(0, 2, 60), np.zeros(60)], axis=0)
    scores = np.where(generator.random(60) < 0.3, (scores * 2).round() / 2, scores)
    truth[generator.random(60) < 0.1] = np.nan
    found = sentiment_metrics(
        torch.tensor(scores)[:, None], torch.tensor(truth)[:, None]
    )
    assert found == pytest.approx(naive_sentiment(scores, truth))


def test_sentiment_bins__known_values():
    values = [-3, -2.1, -2, -1.5, -1, -0.1, 0, 0.1, 1, 1.5, 2, 2.1, 3, 5]
    expected = [-3, -3, -2, -2, -1, -1, 0, 1, 1, 2, 2, 3, 3, 3]
    assert sentiment_bins(torch.tensor(values)).tolist() == expected
    assert [naive_bin(value) for value in values] == expected
    assert sentiment_bins(torch.tensor([torch.nan])).isnan().all()


def test_sentiment_metrics__the_three_rules_for_two_classes_differ():
    truth = torch.tensor([[-1.0], [0], [0], [2]])
    found = sentiment_metrics(torch.tensor([[-1.0], [0], [-1], [2]]), truth)
    assert found["acc2/nonnegative"] == 0.75
    assert found["acc2/positive"] == 1
    assert found["acc2/nonpositive"] == 1
    found = sentiment_metrics(torch.full((4, 1), 0.1), truth)
    assert found["acc2/nonnegative"] == 0.75
    assert found["acc2/positive"] == 0.5
    assert found["acc2/nonpositive"] == 0.25


def test_sentiment_metrics__nothing_left_is_nan():
    found = sentiment_metrics(torch.zeros(2, 1), torch.zeros(2, 1))
    assert math.isnan(found["acc2/positive"])
    assert math.isnan(found["f1/positive"])
    assert found["acc2/nonnegative"] == 1
    empty = sentiment_metrics(torch.zeros(2, 1), torch.full((2, 1), torch.nan))
    assert all(math.isnan(value) for value in empty.values())


def naive_emotion(scores, truth):
    """Metrics of one emotion by scikit-learn; None without both classes."""
    known = ~np.isnan(truth)
    scores, truth = scores[known], truth[known].astype(int)
    if len(set(truth)) < 2:
        return None
    said = (scores > 0.5).astype(int)
    positives, negatives = sum(truth), len(truth) - sum(truth)
    hits = sum(said & truth)
    rejected = sum((1 - said) & (1 - truth))
    return {
        "accuracy": oracle.accuracy_score(truth, said),
        "weighted_accuracy": (hits * negatives / positives + rejected)
        / (2 * negatives),
        "f1": oracle.f1_score(truth, said, zero_division=0),
        "f1_weighted": oracle.f1_score(
            truth, said, average="weighted", zero_division=0
        ),
        "auc": oracle.roc_auc_score(truth, scores),
    }


@pytest.mark.parametrize("seed", range(10))
def test_emotion_metrics__equal_a_transcription(seed):
    generator = np.random.default_rng(seed)
    truth = (generator.random((50, 6)) < [0.5, 0.2, 0.1, 0.02, 0, 0.9]).astype(float)
    truth[generator.random((50, 6)) < 0.1] = np.nan
    # One decimal makes many ties, and scores of exactly 0.5.
    scores = generator.random((50, 6)).round(1)
    found = emotion_metrics(torch.tensor(scores).float(), torch.tensor(truth).float())
    each = [naive_emotion(scores[:, k], truth[:, k]) for k in range(6)]
    counted = [values for values in each if values]
    assert found["emotion/counted"] == len(counted) < 6
    for name in counted[0]:
        mean = np.mean([values[name] for values in counted])
        assert found[f"emotion/{name}"] == pytest.approx(mean, abs=1e-6)
        for emotion, values in zip(EMOTIONS, each, strict=True):
            value = found[f"emotion/{name}/{emotion}"]
            expected = values[name] if values else math.nan
            assert value == pytest.approx(expected, abs=1e-6, nan_ok=True)


def test_emotion_metrics__a_constant_is_worth_half():
    truth = torch.eye(6).repeat(5, 1)
    found = emotion_metrics(torch.full((30, 6), 1 / 6), truth)
    assert found["emotion/accuracy"] == pytest.approx(5 / 6)
    assert found["emotion/weighted_accuracy"] == 0.5
    assert found["emotion/auc"] == 0.5
    assert found["emotion/f1"] == 0


def test_emotion_metrics__no_emotion_at_all():
    found = emotion_metrics(torch.rand(4, 6), torch.zeros(4, 6))
    assert found.pop("emotion/counted") == 0
    assert all(math.isnan(value) for value in found.values())


def test_metric_sets__names():
    assert {
        "mosei_sentiment": sentiment_metrics,
        "mosei_emotion": emotion_metrics,
    } == METRIC_SETS
