"""Scores of items from those of their windows, and the loss of such scores."""

from __future__ import annotations

import torch
from torch import Tensor

from lightly_marlin.evaluation.labels.target import Target

__all__ = ["loss_of_scores", "mean_over_windows"]

# A probability of 0 for what happens would cost infinitely much.
_LEAST_PROBABILITY = 1e-6


def mean_over_windows(scores: Tensor, item_of_row: Tensor, num_items: int) -> Tensor:
    """Returns the mean score of the windows of each item.

    Args:
        scores: Floating-point tensor (rows, K): probabilities or values of windows.
        item_of_row: int64 tensor (rows,): item of each row, in [0, num_items).
        num_items: Number of items n.

    Returns:
        float32 tensor (n, K); NaN for an item without windows.
    """
    sums = torch.zeros(num_items, scores.shape[1], dtype=torch.float64)
    sums.index_add_(0, item_of_row, scores.double())
    counts = item_of_row.bincount(minlength=num_items)
    return (sums / counts[:, None]).float()


def loss_of_scores(target: Target, scores: Tensor, labels: Tensor) -> float:
    """Returns the mean loss of scores; probabilities count as at least 1e-6.

    Log loss of probabilities, absolute error of values; empty labels do not count.

    Args:
        target: Kind and names of the labels.
        scores: Floating-point tensor (n, K), see `Target.scores`.
        labels: Floating-point tensor (n, C); NaN where empty.
    """
    outputs = scores.double()
    if target.kind != "regression":
        outputs = outputs.clamp(_LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
        outputs = outputs.log() if target.kind == "multiclass" else outputs.logit()
    return float(target.loss(outputs, labels.double()))
