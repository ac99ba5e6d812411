"""Prediction target of labelled items: its kind, loss, outputs and baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from lightly_marlin.utils.errors import UsageError

__all__ = ["KINDS", "Kind", "Target"]

Kind = Literal["binary", "multilabel", "multiclass", "regression"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Target:
    """Kind and names of the labels that a head predicts.

    Labels are float32 tensors (n, C), NaN where a label is empty: C is 1 for a
    multiclass target, whose labels are indices of classes, and otherwise the number of
    names K. Outputs of a head and scores are (n, K).

    Attributes:
        kind: "binary", "multilabel", "multiclass" or "regression".
        names: Names of the classes of a multiclass target, otherwise of the labels; one
            for a binary target, whose positive value is 1.
    """

    kind: Kind
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        """Checks kind and names.

        Raises:
            UsageError: A ValueError, if the kind is unknown or the names do not fit it.
        """
        if self.kind not in KINDS:
            raise UsageError(
                f"Invalid kind ({self.kind!r}). Supported values are "
                f"{', '.join(KINDS)}."
            )
        if len(set(self.names)) != len(self.names):
            raise UsageError(f"Invalid names {self.names}: a name occurs twice.")
        count = len(self.names)
        if count == 0 or (self.kind == "binary" and count > 1):
            raise UsageError(f"Invalid names {self.names} of a {self.kind} target.")
        if self.kind == "multiclass" and count == 1:
            raise UsageError(
                f"The only class is {self.names[0]!r}: there is nothing to tell apart. "
                "Add items of another class."
            )

    @property
    def num_outputs(self) -> int:
        """Number of outputs K of a head."""
        return len(self.names)

    @property
    def num_columns(self) -> int:
        """Number of label columns C."""
        return 1 if self.kind == "multiclass" else len(self.names)

    @property
    def score_name(self) -> str:
        """Kind of the scores: "value" of a regression, otherwise "probability"."""
        return "value" if self.kind == "regression" else "probability"

    def loss(
        self, outputs: Tensor, labels: Tensor, *, label_smoothing: float = 0.0
    ) -> Tensor:
        """Returns the mean loss of outputs; empty labels do not count.

        Binary cross-entropy per label, cross-entropy over classes, or the absolute
        error of a regression. Soft labels, as MixUp makes them, are one-hot (n, K).

        Args:
            outputs: Floating-point tensor (n, K): outputs of a head.
            labels: Floating-point tensor (n, C), or (n, K) of a multiclass target.
            label_smoothing: Share of each label that is spread over all classes; used
                by multiclass targets.

        Returns:
            Scalar tensor; 0 (with a gradient of 0) if every label is empty.
        """
        known = ~labels.isnan()
        if self.kind == "multiclass":
            rows = known.all(dim=1)
            wanted = labels if labels.shape[1] > 1 else self.truth(labels)
            losses = F.cross_entropy(
                outputs[rows],
                wanted[rows].to(outputs.dtype),
                reduction="none",
                label_smoothing=label_smoothing,
            )
        elif self.kind == "regression":
            losses = (outputs[known] - labels[known]).abs()
        else:
            losses = F.binary_cross_entropy_with_logits(
                outputs[known], labels[known].to(outputs.dtype), reduction="none"
            )
        # A mean over nothing would be NaN.
        return losses.sum() / max(1, losses.numel()) + 0 * outputs.sum()

    def scores(self, outputs: Tensor) -> Tensor:
        """Returns probabilities, or the values of a regression.

        Args:
            outputs: Floating-point tensor (n, K): outputs of a head.

        Returns:
            Tensor (n, K); probabilities are in [0, 1].
        """
        if self.kind == "multiclass":
            return outputs.softmax(dim=-1)
        return outputs if self.kind == "regression" else outputs.sigmoid()

    def truth(self, labels: Tensor) -> Tensor:
        """Returns the labels in the form of scores.

        Args:
            labels: Floating-point tensor (n, C).

        Returns:
            float32 tensor (n, K): one-hot for classes; NaN where a label is empty.
        """
        if self.kind != "multiclass":
            return labels.float()
        classes = labels[:, 0]
        onehot = F.one_hot(classes.nan_to_num().long(), len(self.names)).float()
        onehot[classes.isnan()] = torch.nan
        return onehot

    def constant(self, labels: Tensor) -> Tensor:
        """Returns the best scores that do not look at the input.

        Args:
            labels: Floating-point tensor (n, C): labels of the training items.

        Returns:
            float32 tensor (K,): frequencies of classes or labels, or medians, which
            have the least absolute error; 0.5 or 0 for labels that are all empty.
        """
        truth = self.truth(labels)
        if self.kind == "regression":
            if not len(truth):
                return torch.zeros(len(self.names))
            return truth.nanquantile(0.5, dim=0).nan_to_num()
        counts = (~truth.isnan()).sum(dim=0)
        frequencies = truth.nansum(dim=0) / counts
        return torch.where(counts > 0, frequencies, 0.5)
