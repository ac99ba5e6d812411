"""Monitors of a representation that need no labels: effective rank and spread."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["check_features", "feature_std", "rankme"]

_EPSILON = 1e-7


def rankme(features: Tensor, *, centred: bool = False) -> float:
    """Returns the effective rank of features [0].

    The exponential of the entropy of the normalised singular values,
    p_k = s_k / sum(s) + 1e-7: between 1, where all features lie on a line through the
    origin, and min(n, D); 0 if all features are 0. A fall during training is a sign of
    collapse. It grows with n, so compare only ranks of equally many features.

    A mean that all features share lowers it. Centred, it is the rank of the differences
    alone, up to min(n - 1, D). Neither depends on the scale: features that differ by
    rounding alone have a high centred rank, so read it beside `feature_std`.

    - [0]: RankMe, 2023, https://arxiv.org/abs/2210.02885

    Args:
        features: Floating-point tensor (n, D).
        centred: Subtract the mean of the features first, unlike [0].

    Raises:
        ValueError: If it is empty or not finite.
    """
    check_features(features)
    features = features.double()
    if centred:
        # First a feature, then the mean: equal features become exactly 0.
        features = features - features[0]
        features = features - features.mean(dim=0)
    values = torch.linalg.svdvals(features)
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
    check_features(features)
    directions = torch.nn.functional.normalize(features.double(), dim=1)
    deviation = directions.std(dim=0, correction=0).mean()
    return float(deviation * features.shape[1] ** 0.5)


def check_features(features: Tensor, shape: str = "n, D", **least: int) -> None:
    """Checks what a monitor is given.

    Args:
        features: Floating-point tensor.
        shape: Names of its dimensions, separated by commas.
        **least: Least size of a dimension, by its name; 1 if left out.

    Raises:
        ValueError: If the shape is another, a size is too small, or a value is NaN or
            infinite.
    """
    names = shape.split(", ")
    sizes = [least.get(name, 1) for name in names]
    if features.ndim != len(names) or any(
        size < smallest for size, smallest in zip(features.shape, sizes, strict=True)
    ):
        wanted = ", ".join(
            f"{name} at least {size}" for name, size in zip(names, sizes, strict=True)
        )
        raise ValueError(
            f"Invalid shape of features {tuple(features.shape)}: must be ({shape}), "
            f"{wanted}."
        )
    if not features.isfinite().all():
        raise ValueError("Invalid features: some are NaN or infinite.")
