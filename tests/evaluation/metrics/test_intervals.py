"""Bootstrap over groups against resampled sets, and paired differences."""

import dataclasses
import math

import pytest
import torch

from lightly_marlin.evaluation import Predictions, Result, Target
from lightly_marlin.evaluation.metrics.intervals import (
    grouped_bootstrap,
    mean_interval,
    paired_difference,
)
from lightly_marlin.evaluation.metrics.metrics import metrics_for
from lightly_marlin.utils.errors import UsageError

TARGET = Target("multilabel", ("a", "b"))


def make_predictions(count=40, per_group=2, seed=0, noise=0.5):
    generator = torch.Generator().manual_seed(seed)
    truth = (
        torch.rand(count, 2, generator=torch.Generator().manual_seed(1)) < 0.4
    ).float()
    scores = (truth + noise * torch.randn(count, 2, generator=generator)).sigmoid()
    return Predictions(
        items=tuple(f"item {index:03}" for index in range(count)),
        groups=tuple(f"group {index // per_group:03}" for index in range(count)),
        splits=("test",) * count,
        windows=torch.ones(count, dtype=torch.int64),
        truth=truth,
        scores=scores,
        constant=torch.full((count, 2), 0.4),
    )


def make_result(predictions, target=TARGET):
    metrics = metrics_for(target)(predictions.scores, predictions.truth)
    return Result("faces", target, {}, {}, {}, 0, metrics, {}, {}, predictions)


def test_grouped_bootstrap__equals_resampling_by_hand():
    predictions = make_predictions()
    metrics = metrics_for(TARGET)
    fast = grouped_bootstrap(predictions, metrics, draws=60, seed=3)
    # A plain function is called on every resampled set.
    slow = grouped_bootstrap(predictions, lambda s, t: metrics(s, t), draws=60, seed=3)
    assert fast.keys() == slow.keys()
    assert "labels_left_out" not in fast
    for name, ends in slow.items():
        assert fast[name] == pytest.approx(ends, abs=1e-5), name


def test_grouped_bootstrap__draws_whole_groups():
    predictions = make_predictions(count=20, per_group=4)
    seen = []

    def record(scores, truth):
        seen.append(scores[:, 0])
        return {"count": float(len(scores))}

    grouped_bootstrap(predictions, record, draws=20)
    for scores in seen:
        assert len(scores) == 20
        times = torch.stack(
            [(scores == value).sum() for value in predictions.scores[:, 0]]
        )
        assert (times.reshape(-1, 4) == times.reshape(-1, 4)[:, :1]).all()
    assert len({tuple(scores.tolist()) for scores in seen}) > 10


def test_grouped_bootstrap__covers_the_known_error():
    # The standard error of a mean of n independent items is deviation / sqrt(n).
    count = 400
    predictions = make_predictions(count=count, per_group=1)
    target = Target("multilabel", ("a", "b"))
    interval = grouped_bootstrap(predictions, metrics_for(target), draws=1000)
    metrics = metrics_for(target)(predictions.scores, predictions.truth)
    right = (
        ((predictions.scores > 0.5) == (predictions.truth > 0.5)).float().mean(dim=1)
    )
    error = float(right.std()) / math.sqrt(count)
    low, high = interval["accuracy/flat"]
    assert low < metrics["accuracy/flat"] < high
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_grouped_bootstrap__same_seed_same_interval():
    predictions = make_predictions()
    metrics = metrics_for(TARGET)
    first = grouped_bootstrap(predictions, metrics, draws=50, seed=1)
    assert first == grouped_bootstrap(predictions, metrics, draws=50, seed=1)
    assert first != grouped_bootstrap(predictions, metrics, draws=50, seed=2)
    wide = grouped_bootstrap(predictions, metrics, draws=50, seed=1, level=0.99)
    assert wide["auc/flat"][0] <= first["auc/flat"][0]


def test_grouped_bootstrap__too_few_groups():
    predictions = make_predictions(count=8, per_group=2)
    interval = grouped_bootstrap(predictions, metrics_for(TARGET), draws=10)
    assert all(math.isnan(end) for ends in interval.values() for end in ends)


def test_grouped_bootstrap__undefined_in_most_draws():
    predictions = make_predictions(count=20, per_group=1)
    calls = iter(range(100))

    def rarely(scores, truth):
        return {"rare": 1.0 if next(calls) % 3 == 0 else math.nan, "sure": 2.0}

    interval = grouped_bootstrap(predictions, rarely, draws=30)
    assert all(math.isnan(end) for end in interval["rare"])
    assert interval["sure"] == (2, 2)


def test_grouped_bootstrap__no_items():
    interval = grouped_bootstrap(make_predictions(count=0), metrics_for(TARGET))
    assert set(interval) == set(make_result(make_predictions()).metrics) - {
        "labels_left_out"
    }
    assert all(math.isnan(end) for ends in interval.values() for end in ends)


@pytest.mark.parametrize("options", [{"draws": 0}, {"level": 1.0}])
def test_grouped_bootstrap__refuses_settings(options):
    with pytest.raises(ValueError, match="draws has to be at least 1"):
        grouped_bootstrap(make_predictions(), metrics_for(TARGET), **options)


def test_paired_difference__of_a_result_with_itself_is_nothing():
    result = make_result(make_predictions())
    differences = paired_difference(result, result, draws=50)
    assert set(differences) == set(result.metrics) - {"labels_left_out"}
    for name, row in differences.items():
        assert row == (result.metrics[name], result.metrics[name], 0, 0, 0, 40)


def test_paired_difference__is_narrower_than_two_intervals():
    a = make_result(make_predictions(noise=1.5))
    scores = a.predictions.scores + 0.02 * (a.predictions.truth - 0.5)
    better = dataclasses.replace(a.predictions, scores=scores.clamp(0, 1))
    b = make_result(better)
    row = paired_difference(a, b, draws=200)["auc/mean"]
    alone = grouped_bootstrap(better, metrics_for(TARGET), draws=200)["auc/mean"]
    assert row.difference == pytest.approx(
        b.metrics["auc/mean"] - a.metrics["auc/mean"]
    )
    assert 0 < row.low < row.difference < row.high
    assert row.high - row.low < (alone[1] - alone[0]) / 2
    other = paired_difference(b, a, draws=200)["auc/mean"]
    assert other.low == pytest.approx(-row.high)


def test_paired_difference__matches_items_by_name():
    whole = make_predictions()
    backwards = dataclasses.replace(
        whole,
        items=whole.items[::-1],
        groups=whole.groups[::-1],
        truth=whole.truth.flip(0),
        scores=whole.scores.flip(0),
    )
    part = dataclasses.replace(
        make_predictions(count=30),
        items=backwards.items[:30],
        groups=backwards.groups[:30],
        truth=backwards.truth[:30],
        scores=backwards.scores[:30],
    )
    differences = paired_difference(make_result(whole), make_result(part), draws=20)
    assert all(row.items == 30 for row in differences.values())
    assert all(row.difference == 0 for row in differences.values())


def test_paired_difference__refuses_other_data():
    a = make_result(make_predictions())

    def changed(**fields):
        return make_result(dataclasses.replace(a.predictions, **fields))

    truth = a.predictions.truth.clone()
    truth[7, 1] = 1 - truth[7, 1]
    with pytest.raises(UsageError, match="'item 007' has different labels"):
        paired_difference(a, changed(truth=truth))
    items = tuple(f"other {index}" for index in range(40))
    with pytest.raises(UsageError, match=r"no item in common.*'item 000'.*'other 0'"):
        paired_difference(a, changed(items=items))
    groups = ("stranger", *a.predictions.groups[1:])
    with pytest.raises(UsageError, match="'item 000' is in the group 'group 000'"):
        paired_difference(a, changed(groups=groups))
    other = make_result(a.predictions, Target("multilabel", ("a", "c")))
    with pytest.raises(UsageError, match="different targets"):
        paired_difference(a, other)


def test_mean_interval__is_that_of_a_mean():
    values = torch.randn(400, generator=torch.Generator().manual_seed(0)).double()
    low, high = mean_interval(values, [f"{n:03d}" for n in range(400)])
    assert low < float(values.mean()) < high
    assert high - low == pytest.approx(2 * 1.96 * float(values.std()) / 20, rel=0.1)
    assert mean_interval(values[:9], ["one"] * 5 + ["two"] * 4) == pytest.approx(
        (math.nan, math.nan), nan_ok=True
    )
