"""Monitors of a representation that need no labels."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["feature_std", "rankme"]

_EPSILON = 1e-7


def rankme(features: Tensor) -> float:
    """Returns the effective rank of features [0].

    The exponential of the entropy of the normalised singular values,
    p_k = s_k / sum(s) + 1e-7: between 1, where all features lie on a line through the
    origin, and min(n, D); 0 if all features are 0. A fall during training is a sign of
    collapse.

    - [0]: RankMe, 2023, https://arxiv.org/abs/2210.02885

    Args:
        features: Floating-point tensor (n, D), not centred, as in [0].

    Raises:
        ValueError: If it is empty or not finite.
    """
    _check(features)
    values = torch.linalg.svdvals(features.double())
    total = values.sum()
    if total == 0:
        return 0.0
    shares = values / total + _EPSILON
    return float(torch.exp(-(shares * shares.log()).sum()))


def feature_std(features: Tensor) -> float:
    """Returns the mean standard deviation of normalised features, times sqrt(D) [0].

    0 where all features point the same way (collapse), about 1 for directions that are
    spread evenly.

    - [0]: SimSiam, 2021, section 4.1, https://arxiv.org/abs/2011.10566

    Args:
        features: Floating-point tensor (n, D).

    Raises:
        ValueError: If it is empty or not finite.
    """
    _check(features)
    directions = torch.nn.functional.normalize(features.double(), dim=1)
    deviation = directions.std(dim=0, correction=0).mean()
    return float(deviation * features.shape[1] ** 0.5)


def _check(features: Tensor) -> None:
    if features.ndim != 2 or 0 in features.shape:
        raise ValueError(
            f"Invalid shape of features {tuple(features.shape)}: must be (n, D), both "
            "at least 1."
        )
    if not features.isfinite().all():
        raise ValueError("Invalid features: some are NaN or infinite.")
