"""Intervals of metrics, by a bootstrap over groups, and paired differences of results.

Items of one group, such as clips of one person, are not independent: groups are drawn
with replacement, with all of their items. Percentiles of the metrics over the draws are
the interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from lightly_marlin.evaluation.metrics.label_metrics import check_scores
from lightly_marlin.evaluation.metrics.metrics import COUNTS, Metrics, metrics_for
from lightly_marlin.evaluation.metrics.weighted_metrics import weighted_metrics
from lightly_marlin.evaluation.results.result import Predictions, Result
from lightly_marlin.utils.errors import UsageError

__all__ = [
    "MIN_GROUPS",
    "PairedDifference",
    "grouped_bootstrap",
    "mean_interval",
    "paired_difference",
]

MIN_GROUPS = 5
"""With fewer groups an interval would say more about the draw than about the data."""

# A metric that most draws leave undefined, such as the AUC of a single positive.
_MIN_DEFINED = 0.5


class PairedDifference(NamedTuple):
    """Difference of a metric between two results on the same items.

    Attributes:
        a: The metric of the first result on the common items.
        b: The metric of the second.
        difference: b - a.
        low: Lower end of the interval of the difference; NaN with too few groups.
        high: Upper end.
        items: Number of common items.
    """

    a: float
    b: float
    difference: float
    low: float
    high: float
    items: int


def grouped_bootstrap(
    predictions: Predictions,
    metrics: Metrics | Callable[[Tensor, Tensor], Mapping[str, float]],
    *,
    draws: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, tuple[float, float]]:
    """Returns the percentile interval of every metric by name.

    Args:
        predictions: Truth, scores and groups.
        metrics: What `metrics_for` returns, which is computed for all draws at once, or
            any function of scores and truth, which is called once per draw.
        draws: Number of resampled sets, at least 1.
        seed: Seed of the draws.
        level: Share of the draws inside the interval, in (0, 1).

    Returns:
        Lower and upper ends. Draws in which a metric is undefined are left out; both
        are NaN if more than half are, or if there are fewer than 5 groups. Counts of
        labels have no interval.
    """
    _check_settings(draws, level)
    weights = _draw_weights(predictions.groups, draws, seed)
    values = _metrics_of_draws(predictions, metrics, weights)
    enough = len(set(predictions.groups)) >= MIN_GROUPS
    return {name: _interval(drawn, level, enough) for name, drawn in values.items()}


def mean_interval(
    values: Tensor,
    groups: Sequence[str],
    *,
    draws: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Returns the percentile interval of a mean.

    Args:
        values: Finite floating-point tensor (n,).
        groups: Group of each value.
        draws: Number of resampled sets, at least 1.
        seed: Seed of the draws.
        level: Share of the draws inside the interval, in (0, 1).

    Returns:
        Lower and upper end; both NaN if there are fewer than 5 groups.
    """
    _check_settings(draws, level)
    weights = _draw_weights(groups, draws, seed).double()
    means = weights @ values.double() / weights.sum(dim=1)
    return _interval(means, level, len(set(groups)) >= MIN_GROUPS)


def paired_difference(
    a: Result, b: Result, *, draws: int = 1000, seed: int = 0, level: float = 0.95
) -> dict[str, PairedDifference]:
    """Returns the difference of every metric of two results on their common items.

    Both are measured on the same resampled sets, so that what is hard for both cancels.

    Args:
        a: The first result.
        b: The second result, whose metrics count positive.
        draws: Number of resampled sets, at least 1.
        seed: Seed of the draws.
        level: Share of the draws inside the interval, in (0, 1).

    Raises:
        UsageError: If targets, truths or groups differ, or no item is common.
    """
    _check_settings(draws, level)
    if a.target != b.target:
        raise UsageError(
            f"{a.task} and {b.task} have different targets: {a.target.kind} "
            f"{a.target.names} and {b.target.kind} {b.target.names}. Only results of "
            "the same labels can be compared."
        )
    first, second = _common(a, b)
    sets = [name for name in _metric_sets(a) if name in _metric_sets(b)]
    metrics = metrics_for(a.target, sets)
    weights = _draw_weights(first.groups, draws, seed)
    drawn = [_metrics_of_draws(part, metrics, weights) for part in (first, second)]
    whole = [metrics(part.scores, part.truth) for part in (first, second)]
    enough = len(set(first.groups)) >= MIN_GROUPS
    result = {}
    for name in drawn[0]:
        low, high = _interval(drawn[1][name] - drawn[0][name], level, enough)
        ends = whole[0][name], whole[1][name]
        result[name] = PairedDifference(*ends, ends[1] - ends[0], low, high, len(first))
    return result


def _check_settings(draws: int, level: float) -> None:
    if draws < 1 or not 0 < level < 1:
        raise ValueError(
            f"Invalid draws ({draws}) or level ({level}). draws has to be at least 1 "
            "and level in (0, 1)."
        )


def _draw_weights(groups: Sequence[str], draws: int, seed: int) -> Tensor:
    """Returns the number of times that each item is drawn, float32 (draws, n)."""
    # Sorted: the draws do not depend on the order of the items.
    places = {group: place for place, group in enumerate(sorted(set(groups)))}
    generator = torch.Generator().manual_seed(seed)
    if not places:
        return torch.zeros(draws, 0)
    drawn = torch.randint(len(places), (draws, len(places)), generator=generator)
    counts = torch.zeros(draws, len(places)).scatter_add_(
        1, drawn, torch.ones(drawn.shape)
    )
    return counts[:, [places[group] for group in groups]]


def _metrics_of_draws(
    predictions: Predictions,
    metrics: Metrics | Callable[[Tensor, Tensor], Mapping[str, float]],
    weights: Tensor,
) -> dict[str, Tensor]:
    """Returns float64 (draws,) by name, without counts of labels."""
    scores, truth = predictions.scores, predictions.truth
    if not isinstance(metrics, Metrics):
        return _one_by_one(metrics, scores, truth, weights)
    scores, truth = check_scores(metrics.target, scores, truth)
    values = weighted_metrics(metrics.target, scores, truth, weights)
    if metrics.extra:
        values |= _one_by_one(metrics.extra_metrics, scores, truth, weights)
    return values


def _one_by_one(
    metrics: Callable[[Tensor, Tensor], Mapping[str, float]],
    scores: Tensor,
    truth: Tensor,
    weights: Tensor,
) -> dict[str, Tensor]:
    rows = torch.arange(len(scores))
    values: dict[str, list[float]] = {}
    for weight in weights:
        drawn = rows.repeat_interleave(weight.long())
        for name, value in metrics(scores[drawn], truth[drawn]).items():
            if name not in COUNTS:
                values.setdefault(name, []).append(value)
    return {
        name: torch.tensor(column, dtype=torch.float64)
        for name, column in values.items()
    }


def _interval(values: Tensor, level: float, enough: bool) -> tuple[float, float]:
    share = float((~values.isnan()).double().mean())
    if not enough or share < _MIN_DEFINED:
        return math.nan, math.nan
    tail = (1 - level) / 2
    ends = values.nanquantile(torch.tensor([tail, 1 - tail], dtype=torch.float64))
    return float(ends[0]), float(ends[1])


def _metric_sets(result: Result) -> Sequence[str]:
    sets: Sequence[str] = result.protocol.get("metrics", ())
    return sets


def _common(a: Result, b: Result) -> tuple[Predictions, Predictions]:
    """Returns the predictions of both on their common items, in one order."""
    places = [
        {item: row for row, item in enumerate(result.predictions.items)}
        for result in (a, b)
    ]
    items = [item for item in a.predictions.items if item in places[1]]
    if not items:
        raise UsageError(
            f"The results of {a.task} have no item in common: the first tested "
            f"{_first(a.predictions)}, the second {_first(b.predictions)}. Compare "
            "results of the same table and split."
        )
    first, second = (
        _rows(result.predictions, [place[item] for item in items])
        for result, place in zip((a, b), places, strict=True)
    )
    same = (first.truth == second.truth) | (first.truth.isnan() & second.truth.isnan())
    for row, item in enumerate(items):
        if not same[row].all():
            raise UsageError(
                f"The item {item!r} has different labels in the two results: "
                f"{first.truth[row].tolist()} and {second.truth[row].tolist()}. "
                "Compare results of the same table."
            )
        if first.groups[row] != second.groups[row]:
            raise UsageError(
                f"The item {item!r} is in the group {first.groups[row]!r} in the first "
                f"result and in {second.groups[row]!r} in the second. Evaluate both "
                "with the same --group."
            )
    return first, second


def _first(predictions: Predictions) -> str:
    return repr(predictions.items[0]) if len(predictions) else "nothing"


def _rows(predictions: Predictions, rows: list[int]) -> Predictions:
    return replace(
        predictions,
        items=tuple(predictions.items[row] for row in rows),
        groups=tuple(predictions.groups[row] for row in rows),
        splits=tuple(predictions.splits[row] for row in rows),
        windows=predictions.windows[rows],
        truth=predictions.truth[rows],
        scores=predictions.scores[rows],
        constant=predictions.constant[rows],
    )
