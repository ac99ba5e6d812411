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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lightly_marlin.evaluation.labels.target import Kind, Target
from lightly_marlin.evaluation.metrics.mosei_metrics import METRIC_SETS
from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.errors import UsageError

__all__ = [
    "COUNTS",
    "Metrics",
    "check_scores",
    "higher_is_better",
    "metrics_for",
    "per_label_metrics",
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
_LESS_IS_BETTER = ("mae", "eer")

_NAN = float("nan")
# Sums of probabilities round beyond 1.
_ROUNDING = 1e-5

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
    return name.removeprefix("window/") not in _LESS_IS_BETTER


def check_scores(
    target: Target, scores: Tensor, truth: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns scores and truth as float32, with probabilities in [0, 1].

    Args:
        target: Kind and names of the labels.
        scores: Floating-point tensor (n, K).
        truth: Floating-point tensor (n, K); NaN where empty.

    Raises:
        ValueError: If the shapes differ, or a score is NaN or no probability.
    """
    if scores.shape != truth.shape or scores.shape[1:] != (target.num_outputs,):
        raise ValueError(
            f"Invalid shapes: scores {tuple(scores.shape)}, truth "
            f"{tuple(truth.shape)}. Both have to be (n, {target.num_outputs})."
        )
    scores, truth = scores.detach().float(), truth.detach().float()
    wrong = ~scores.isfinite()
    if target.kind != "regression":
        wrong |= (scores < -_ROUNDING) | (scores > 1 + _ROUNDING)
        scores = scores.clamp(0, 1)
    if wrong.any():
        row, column = (int(place) for place in wrong.nonzero()[0])
        wanted = "finite" if target.kind == "regression" else "probabilities in [0, 1]"
        raise ValueError(
            f"Invalid score of {target.names[column]!r} in row {row}. Scores have to "
            f"be {wanted}; pass outputs of a head through Target.scores."
        )
    return scores, truth


def per_label_metrics(
    target: Target, scores: Tensor, truth: Tensor
) -> dict[str, dict[str, float]]:
    """Returns metrics of each label, class or column by its name.

    Args:
        target: Kind and names of the labels.
        scores: Floating-point tensor (n, K), see `Target.scores`.
        truth: Floating-point tensor (n, K), see `Target.truth`; NaN where empty.

    Returns:
        Of labels and classes: "count" (items with a label), "positives", "accuracy",
        "balanced_accuracy", "auc", "ap"; of classes instead of the accuracies "recall",
        "precision" and "f1" of the most probable class; of values: "count", "mae" and
        "pearson". NaN where undefined.

    Raises:
        ValueError: If the shapes differ, or scores are NaN or no probabilities.
    """
    scores, truth = check_scores(target, scores, truth)
    columns: dict[str, dict[str, float]] = {}
    decisions = _class_metrics(scores, truth) if target.kind == "multiclass" else None
    for index, name in enumerate(target.names):
        known = ~truth[:, index].isnan()
        s, t = scores[known, index], truth[known, index]
        columns[name] = {"count": float(len(t))}
        if target.kind == "regression":
            columns[name] |= _value_metrics(s, t)
            continue
        columns[name]["positives"] = float(t.sum())
        if decisions is not None:
            columns[name] |= {key: value[index] for key, value in decisions.items()}
        else:
            columns[name] |= _decision_metrics(s, t)
        columns[name] |= _ranking_metrics(s, t)
    return columns


def _binary_metrics(target: Target, scores: Tensor, truth: Tensor) -> dict[str, float]:
    known = ~truth[:, 0].isnan()
    s, t = scores[known, 0], truth[known, 0]
    decisions, ranking = _decision_metrics(s, t), _ranking_metrics(s, t)
    eer = float(_functions().binary_eer(s, t.long())) if _has_both(t) else _NAN
    macro = {"num_classes": 2, "average": "macro"}
    said = (s > 0.5).long()
    f1 = _functions().multiclass_f1_score(said, t.long(), **macro) if len(t) else _NAN
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
    both = [column for column in columns if column["auc"] == column["auc"]]
    return {
        "accuracy/flat": _decision_metrics(flat_s, flat_t)["accuracy"],
        "auc/flat": _ranking_metrics(flat_s, flat_t)["auc"],
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
    areas = [column["auc"] for column in columns if column["auc"] == column["auc"]]
    f1 = _NAN
    if len(classes):
        macro = {"num_classes": len(target.names), "average": "macro"}
        f1 = float(_functions().multiclass_f1_score(said, classes, **macro))
    return {
        "accuracy/flat": float((said == classes).double().mean()),
        "balanced_accuracy": _mean(recalls) if len(recalls) > 1 else _NAN,
        "f1/macro": f1,
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
        if _varies(values[~values.isnan()])
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


def _functions() -> Any:
    return require("torchmetrics.functional.classification", "Measuring predictions")


def _has_both(truth: Tensor) -> bool:
    return bool((truth > 0).any() and (truth <= 0).any())


def _ranking_metrics(scores: Tensor, truth: Tensor) -> dict[str, float]:
    if not _has_both(truth):
        return {"auc": _NAN, "ap": _NAN}
    wanted = truth.long()
    return {
        "auc": float(_functions().binary_auroc(scores, wanted)),
        "ap": float(_functions().binary_average_precision(scores, wanted)),
    }


def _decision_metrics(scores: Tensor, truth: Tensor) -> dict[str, float]:
    said, wanted = (scores > 0.5).long(), truth.long()
    balanced = _NAN
    if _has_both(truth):
        macro = {"num_classes": 2, "average": "macro"}
        balanced = float(_functions().multiclass_recall(said, wanted, **macro))
    # The mean of nothing is NaN.
    accuracy = float((said == wanted).double().mean())
    return {"accuracy": accuracy, "balanced_accuracy": balanced}


def _class_metrics(scores: Tensor, truth: Tensor) -> dict[str, list[float]]:
    """Returns recall, precision and F1 of each class; NaN without a denominator."""
    known = ~truth.isnan().any(dim=1)
    said, wanted = scores[known].argmax(dim=1), truth[known].argmax(dim=1)
    if not len(wanted):
        nothing = [_NAN] * truth.shape[1]
        return {"recall": nothing, "precision": nothing, "f1": nothing}
    size = truth.shape[1]
    table = _functions().multiclass_confusion_matrix(said, wanted, num_classes=size)
    hits, true, claimed = table.diagonal().double(), table.sum(1), table.sum(0)
    return {
        "recall": (hits / true).tolist(),
        "precision": (hits / claimed).tolist(),
        "f1": (2 * hits / (true + claimed)).tolist(),
    }


def _value_metrics(scores: Tensor, truth: Tensor) -> dict[str, float]:
    regression = require("torchmetrics.functional.regression", "Measuring predictions")
    s, t = scores.double(), truth.double()
    pearson = _NAN
    if _varies(s) and _varies(t):
        pearson = float(regression.pearson_corrcoef(s, t))
    return {"mae": float((s - t).abs().mean()), "pearson": pearson}


def _varies(values: Tensor) -> bool:
    return len(values) > 1 and bool(values.max() > values.min())


def _mean(values: Sequence[float]) -> float:
    return float(torch.tensor(values, dtype=torch.float64).mean()) if values else _NAN
