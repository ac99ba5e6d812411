"""Metrics of each label, class or column, and the parts that they are made of."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from lightly_marlin.evaluation.labels.target import Target
from lightly_marlin.utils.dependency import require

__all__ = [
    "accuracy",
    "check_scores",
    "decision_metrics",
    "flat_auc",
    "has_both",
    "per_label_metrics",
    "ranking_metrics",
    "varies",
]

_NAN = math.nan
# Sums of probabilities round beyond 1.
_ROUNDING = 1e-5


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
            columns[name] |= decision_metrics(s, t)
        columns[name] |= ranking_metrics(s, t)
    return columns


def flat_auc(scores: Tensor, truth: Tensor) -> float:
    """Returns the area under the ROC curve of all cells with a label, "auc/flat".

    Args:
        scores: Floating-point tensor of any shape: probabilities.
        truth: Floating-point tensor of that shape: 0 or 1; NaN where empty.

    Returns:
        Area in [0, 1]; NaN without both values.
    """
    known = ~truth.isnan()
    wanted = truth[known]
    if not has_both(wanted):
        return _NAN
    return float(_functions().binary_auroc(scores[known], wanted.long()))


def _functions() -> Any:
    return require("torchmetrics.functional.classification", "Measuring predictions")


def has_both(truth: Tensor) -> bool:
    """Returns whether some labels are positive and some are not.

    Args:
        truth: Floating-point tensor (n,): 0 or 1.
    """
    return bool((truth > 0).any() and (truth <= 0).any())


def ranking_metrics(scores: Tensor, truth: Tensor) -> dict[str, float]:
    """Returns "auc" and "ap" of one label; NaN without both values.

    Args:
        scores: float32 tensor (n,): probabilities.
        truth: float32 tensor (n,): 0 or 1.
    """
    if not has_both(truth):
        return {"auc": _NAN, "ap": _NAN}
    precision = _functions().binary_average_precision(scores, truth.long())
    return {"auc": flat_auc(scores, truth), "ap": float(precision)}


def decision_metrics(scores: Tensor, truth: Tensor) -> dict[str, float]:
    """Returns "accuracy" and "balanced_accuracy" of one label; NaN where undefined.

    Args:
        scores: float32 tensor (n,): probabilities.
        truth: float32 tensor (n,): 0 or 1.
    """
    said, wanted = (scores > 0.5).long(), truth.long()
    balanced = _NAN
    if has_both(truth):
        macro = {"num_classes": 2, "average": "macro"}
        balanced = float(_functions().multiclass_recall(said, wanted, **macro))
    return {"accuracy": accuracy(scores, truth), "balanced_accuracy": balanced}


def accuracy(scores: Tensor, truth: Tensor) -> float:
    """Returns the share of right decisions at the threshold 0.5; NaN of none.

    Args:
        scores: float32 tensor (n,): probabilities.
        truth: float32 tensor (n,): 0 or 1.
    """
    return float(((scores > 0.5) == (truth > 0.5)).double().mean())


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
    if varies(s) and varies(t):
        pearson = float(regression.pearson_corrcoef(s, t))
    return {"mae": float((s - t).abs().mean()), "pearson": pearson}


def varies(values: Tensor) -> bool:
    """Returns whether there are two different values.

    Args:
        values: Floating-point tensor (n,) without NaN.
    """
    return len(values) > 1 and bool(values.max() > values.min())
