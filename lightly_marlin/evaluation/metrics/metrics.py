"""Metrics of predictions, by names that say how they average.

torchmetrics computes them; this wrapper avoids its traps. It counts a label without
positives as an AUC of 0, reads logits of a calm batch as probabilities, and averages
over classes by default. Here a label (or class) without both values is left out of the
means and counted, scores are always probabilities, empty labels do not count, and what
is undefined is NaN.

- `accuracy/flat`: share of right answers, over all cells of items and labels at once; a
  probability above 0.5 is a yes. Of classes: share of items.
- `auc/flat`: area under the ROC curve of all cells at once.
- `accuracy/mean`, `balanced_accuracy/mean`, `auc/mean`, `ap/mean`: means over labels;
  of classes: each against the rest.
- `balanced_accuracy`: mean recall over the classes that occur.
- `f1/macro`: mean F1 over the classes that occur or are predicted.
- `eer`: equal error rate, where false positive and false negative rates are closest.
- `mae`, `pearson`: absolute error and correlation of values, means over columns.
- `labels_left_out`: number of labels or classes without both values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lightly_marlin.evaluation.labels.target import Kind, Target
from lightly_marlin.evaluation.metrics.label_metrics import (
    accuracy,
    check_scores,
    decision_metrics,
    flat_auc,
    has_both,
    per_label_metrics,
    ranking_metrics,
    varies,
)
from lightly_marlin.evaluation.metrics.mosei_metrics import METRIC_SETS
from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.errors import UsageError

__all__ = [
    "COUNTS",
    "Metrics",
    "higher_is_better",
    "metrics_for",
    "primary_metric",
]

COUNTS = ("labels_left_out", "emotion/counted")
"""Names that are numbers of labels, not qualities of predictions."""

_PRIMARY: dict[Kind, str] = {
    "binary": "auc/flat",
    "multilabel": "auc/mean",
    "multiclass": "balanced_accuracy",
    "regression": "mae",
}
_LOWER_IS_BETTER = ("mae", "eer")

_NAN = math.nan

MetricFunction = Callable[[Tensor, Tensor], Mapping[str, float]]


@dataclass(frozen=True)
class Metrics:
    """Metrics of a target, called with scores and truth; `metrics_for` makes it.

    Attributes:
        target: Kind and names of the labels.
        extra: Sets of metrics of a task, by name.
    """

    target: Target
    extra: Mapping[str, MetricFunction]

    def __call__(self, scores: Tensor, truth: Tensor) -> dict[str, float]:
        """Returns the metrics by name.

        Args:
            scores: Floating-point tensor (n, K), see `Target.scores`.
            truth: Floating-point tensor (n, K), see `Target.truth`; NaN where empty.

        Raises:
            ValueError: If the shapes differ, or scores are NaN or no probabilities.
        """
        scores, truth = check_scores(self.target, scores, truth)
        result = _METRICS[self.target.kind](self.target, scores, truth)
        return result | self.extra_metrics(scores, truth)

    def extra_metrics(self, scores: Tensor, truth: Tensor) -> dict[str, float]:
        """Returns the metrics of the task's sets alone.

        Args:
            scores: Floating-point tensor (n, K).
            truth: Floating-point tensor (n, K); NaN where empty.
        """
        result: dict[str, float] = {}
        for function in self.extra.values():
            result |= function(scores, truth)
        return result


def metrics_for(target: Target, extra: Sequence[str] = ()) -> Metrics:
    """Returns the metrics of a kind of labels, as a function of scores and truth.

    Args:
        target: Kind and names of the labels.
        extra: Names of sets of metrics that a task adds, such as "mosei_sentiment".

    Raises:
        UsageError: If a set is unknown.
    """
    for name in extra:
        if name not in METRIC_SETS:
            raise UsageError(
                f"Unknown set of metrics {name!r}. Sets are {', '.join(METRIC_SETS)}."
            )
    return Metrics(target, {name: METRIC_SETS[name] for name in extra})


def primary_metric(target: Target) -> str:
    """Returns the name of the metric that stands for a kind of labels.

    Args:
        target: Kind and names of the labels.
    """
    return _PRIMARY[target.kind]


def higher_is_better(name: str) -> bool:
    """Returns False for errors, True for every other metric.

    Args:
        name: Name of a metric, also with the prefix "window/".
    """
    return name.removeprefix("window/") not in _LOWER_IS_BETTER


def _binary_metrics(target: Target, scores: Tensor, truth: Tensor) -> dict[str, float]:
    known = ~truth[:, 0].isnan()
    s, t = scores[known, 0], truth[known, 0]
    functions = require("torchmetrics.functional.classification", "Measuring")
    decisions, ranking = decision_metrics(s, t), ranking_metrics(s, t)
    eer = float(functions.binary_eer(s, t.long())) if has_both(t) else _NAN
    macro = {"num_classes": 2, "average": "macro"}
    said = (s > 0.5).long()
    f1 = functions.multiclass_f1_score(said, t.long(), **macro) if len(t) else _NAN
    return {
        "accuracy/flat": decisions["accuracy"],
        "balanced_accuracy": decisions["balanced_accuracy"],
        "auc/flat": ranking["auc"],
        "ap/mean": ranking["ap"],
        "eer": eer,
        "f1/macro": float(f1),
    }


def _multilabel_metrics(
    target: Target, scores: Tensor, truth: Tensor
) -> dict[str, float]:
    known = ~truth.isnan()
    flat_s, flat_t = scores[known], truth[known]
    columns = per_label_metrics(target, scores, truth).values()
    both = [column for column in columns if not math.isnan(column["auc"])]
    return {
        "accuracy/flat": accuracy(flat_s, flat_t),
        "auc/flat": flat_auc(scores, truth),
        **{
            f"{name}/mean": _mean([column[name] for column in both])
            for name in ("accuracy", "balanced_accuracy", "auc", "ap")
        },
        "labels_left_out": float(len(target.names) - len(both)),
    }


def _multiclass_metrics(
    target: Target, scores: Tensor, truth: Tensor
) -> dict[str, float]:
    known = ~truth.isnan().any(dim=1)
    said, classes = scores[known].argmax(dim=1), truth[known].argmax(dim=1)
    columns = per_label_metrics(target, scores, truth).values()
    recalls = [column["recall"] for column in columns if column["positives"] > 0]
    areas, f1 = (
        [column[name] for column in columns if not math.isnan(column[name])]
        for name in ("auc", "f1")
    )
    return {
        "accuracy/flat": float((said == classes).double().mean()),
        "balanced_accuracy": _mean(recalls) if len(recalls) > 1 else _NAN,
        "f1/macro": _mean(f1),
        "auc/mean": _mean(areas),
        "labels_left_out": float(len(target.names) - len(areas)),
    }


def _regression_metrics(
    target: Target, scores: Tensor, truth: Tensor
) -> dict[str, float]:
    columns = per_label_metrics(target, scores, truth).values()
    # A column whose truth is constant says nothing; constant scores are a failure.
    varied = [
        column["pearson"]
        for column, values in zip(columns, truth.T, strict=True)
        if varies(values[~values.isnan()])
    ]
    return {
        "mae": _mean([column["mae"] for column in columns if column["count"]]),
        "pearson": _mean(varied),
    }


_METRICS: dict[Kind, Callable[[Target, Tensor, Tensor], dict[str, float]]] = {
    "binary": _binary_metrics,
    "multilabel": _multilabel_metrics,
    "multiclass": _multiclass_metrics,
    "regression": _regression_metrics,
}


def _mean(values: Sequence[float]) -> float:
    return float(torch.tensor(values, dtype=torch.float64).mean()) if values else _NAN
