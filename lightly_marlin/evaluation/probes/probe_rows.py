"""Rows that a probe is fitted on, and what fitting returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lightly_marlin.evaluation.items.item_features import ItemFeatures
from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.evaluation.labels.strata import has_labels
from lightly_marlin.evaluation.labels.target import Target
from lightly_marlin.evaluation.metrics.item_scores import (
    loss_of_scores,
    mean_over_windows,
)
from lightly_marlin.utils.errors import UsageError

__all__ = [
    "Fit",
    "Fitted",
    "ProbeRows",
    "check_tokens",
    "check_vectors",
    "standardizer",
]


@dataclass(frozen=True, eq=False)
class ProbeRows:
    """Windows of labelled items.

    Attributes:
        features: Floating-point tensor (rows, D), or (rows, N, D) with tokens.
        labels: float32 tensor (rows, C): labels of each window's item; NaN where empty.
        item_of_row: int64 tensor (rows,), ascending: item of each row, in [0, n).
        item_labels: float32 tensor (n, C): labels of each item.
    """

    features: Tensor
    labels: Tensor
    item_of_row: Tensor
    item_labels: Tensor

    @classmethod
    def of(
        cls, features: ItemFeatures, table: LabelTable, items: Sequence[int]
    ) -> ProbeRows:
        """Returns the windows of some items that have a label.

        Args:
            features: Features of the items of the table.
            table: The table.
            items: Indices of items, ascending.
        """
        known = has_labels(table) & (features.window_counts() > 0).numpy()
        kept = [index for index in items if known[index]]
        part, labels = features.subset(kept), table.labels[kept]
        item_of_row = part.item_of_row
        return cls(part.features, labels[item_of_row], item_of_row, labels)

    def __len__(self) -> int:
        return len(self.labels)

    def item_loss(self, target: Target, scores: Tensor) -> float:
        """Returns the loss of the items' mean scores, to choose settings by.

        Args:
            target: Kind and names of the labels.
            scores: Floating-point tensor (rows, K), see `Target.scores`.
        """
        means = mean_over_windows(scores, self.item_of_row, len(self.item_labels))
        return loss_of_scores(target, means, self.item_labels)


@dataclass(frozen=True, eq=False)
class Fitted:
    """Probe that was fitted.

    Attributes:
        predict: Function from features (rows, …) to scores (rows, K), see
            `Target.scores`.
        chosen: Settings that were chosen on validation, and what happened on the way.
    """

    predict: Callable[[Tensor], Tensor]
    chosen: Mapping[str, Any] = field(default_factory=dict)


Fit = Callable[[ProbeRows, ProbeRows, Target, int], Fitted]
"""Function that fits a probe on training rows, chooses on validation rows, for a target
and a seed."""


def check_vectors(rows: ProbeRows, probe: str) -> None:
    """Checks that every window is one vector.

    Args:
        rows: The rows.
        probe: Name of the probe, for the message.

    Raises:
        UsageError: If the features are tokens.
    """
    if rows.features.ndim != 2:
        raise UsageError(
            f"The {probe} probe takes one vector per window, features (rows, D); these "
            f"are of shape {tuple(rows.features.shape)}. Use the attentive or grid "
            "probe for tokens, or features without them."
        )


def check_tokens(features: Tensor, probe: str) -> None:
    """Checks that every window is several tokens.

    Args:
        features: Features of windows.
        probe: Name of the probe, for the message.

    Raises:
        UsageError: If the features are one vector per window.
    """
    if features.ndim != 3:
        raise UsageError(
            f"The {probe} probe takes tokens, features (rows, N, D); these are of "
            f"shape {tuple(features.shape)}. Extract features with tokens, or use the "
            "exact probe."
        )


def standardizer(features: Tensor) -> Callable[[Tensor], Tensor]:
    """Returns a function that standardizes by mean and deviation of training features.

    As BatchNorm without affine does; a column that is constant in training becomes 0.

    Args:
        features: Floating-point tensor (rows, D): training rows.

    Returns:
        Function from a floating-point tensor (…, D) to a float32 tensor of that shape.
    """
    values = features.double()
    mean = values.mean(dim=0)
    deviation = values.std(dim=0, correction=0)
    # Rounding leaves a little deviation in a constant column.
    largest = torch.maximum(values.amax(dim=0), -values.amin(dim=0))
    varies = deviation > 1e-6 * largest.clamp(min=1e-6)
    scale = torch.where(varies, 1 / deviation, 0).float()
    center = mean.float()
    return lambda rows: (rows.float() - center) * scale
