"""Start of a trained head at the constant predictor, and the scale of its labels.

A head that starts at 0 spends its steps on the frequencies of rare labels or on the
mean of large values; small sets of labels leave too few steps for that.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lightly_marlin.evaluation.labels.target import Target

__all__ = ["HeadStart"]

# A label that training never has stays improbable, not impossible.
_LEAST_PROBABILITY = 1e-4


@dataclass(frozen=True, eq=False)
class HeadStart:
    """Bias that predicts the constant, and the scale of a regression's labels.

    Attributes:
        target: Kind and names of the labels.
        bias: float32 tensor (K,): outputs of the constant predictor.
        center: float32 tensor (C,): median of the labels of a regression, otherwise 0.
        spread: float32 tensor (C,): their standard deviation, otherwise 1.
    """

    target: Target
    bias: Tensor
    center: Tensor
    spread: Tensor

    @classmethod
    def of(cls, target: Target, labels: Tensor) -> HeadStart:
        """Returns the start for training labels.

        Args:
            target: Kind and names of the labels.
            labels: float32 tensor (rows, C) of the training rows; NaN where empty.
        """
        constant = target.constant(labels)
        zeros, ones = torch.zeros(target.num_columns), torch.ones(target.num_columns)
        if target.kind == "regression":
            known = ~labels.isnan()
            count = known.sum(dim=0).clamp(min=1)
            squares = torch.where(known, labels - labels.nanmean(dim=0), 0).square()
            spread = (squares.sum(dim=0) / count).sqrt()
            spread = torch.where(spread > 0, spread, 1)
            return cls(target, torch.zeros(len(constant)), constant, spread)
        likely = constant.clamp(_LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
        bias = likely.log() if target.kind == "multiclass" else likely.logit()
        return cls(target, bias, zeros, ones)

    def scale(self, labels: Tensor) -> Tensor:
        """Returns labels as the head is trained on them.

        Args:
            labels: float32 tensor (rows, C).
        """
        return (labels - self.center) / self.spread

    def scores(self, outputs: Tensor) -> Tensor:
        """Returns scores in the unit of the labels.

        Args:
            outputs: Floating-point tensor (rows, K): outputs of the head.
        """
        if self.target.kind == "regression":
            return outputs * self.spread + self.center
        return self.target.scores(outputs)
