"""Tested items: their predictions, and the numbers of a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.evaluation.metrics.intervals import grouped_bootstrap
from lightly_marlin.evaluation.metrics.item_scores import mean_over_windows
from lightly_marlin.evaluation.metrics.label_metrics import per_label_metrics
from lightly_marlin.evaluation.metrics.metrics import metrics_for
from lightly_marlin.evaluation.results.result import Predictions

__all__ = ["predictions_of", "result_numbers"]


def predictions_of(
    table: LabelTable,
    items: Sequence[int],
    scores: Tensor,
    row_items: Tensor,
    constant: Tensor,
    split: str,
) -> Predictions:
    """Returns the predictions of items from the scores of their windows.

    An item's score is the mean of its windows' scores; without a window, it is the
    score of the constant predictor.

    Args:
        table: The table.
        items: Indices of the tested items.
        scores: Floating-point tensor (rows, K), see `Target.scores`.
        row_items: int64 tensor (rows,): place of each window's item in `items`.
        constant: Floating-point tensor (K,): scores of the constant predictor.
        split: Name of their split.
    """
    counts = row_items.bincount(minlength=len(items))
    means = mean_over_windows(scores, row_items, len(items))
    return Predictions(
        items=tuple(table.items[index] for index in items),
        groups=tuple(table.groups[index] for index in items),
        splits=(split,) * len(items),
        windows=counts,
        truth=table.target.truth(table.labels[list(items)]),
        scores=torch.where(counts[:, None] > 0, means, constant),
        constant=constant.repeat(len(items), 1),
    )


def result_numbers(
    table: LabelTable, levels: Mapping[str, Predictions], *, draws: int, seed: int
) -> dict[str, Any]:
    """Returns the fields of a `Result` that are numbers.

    Args:
        table: The table.
        levels: Predictions by the prefix of their metrics; "" for those of the items.
        draws: Number of draws of the intervals.
        seed: Seed of the intervals.

    Returns:
        "metrics", "interval" and "constant" of all levels, "metrics_with_face" and
        "per_label" of the items.
    """
    metrics = metrics_for(table.target, table.metrics)
    items = levels[""]
    seen = items.windows > 0
    numbers: dict[str, dict[str, Any]] = {"metrics": {}, "interval": {}, "constant": {}}
    for prefix, level in levels.items():
        found: dict[str, Mapping[str, Any]] = {
            "metrics": metrics(level.scores, level.truth),
            "interval": grouped_bootstrap(level, metrics, draws=draws, seed=seed),
            "constant": metrics(level.constant, level.truth),
        }
        for field, values in found.items():
            numbers[field] |= {prefix + name: value for name, value in values.items()}
    return {
        **numbers,
        "metrics_with_face": metrics(items.scores[seen], items.truth[seen]),
        "per_label": per_label_metrics(table.target, items.scores, items.truth),
    }
