"""LiDAR: effective rank of what tells tracks apart, beside what varies within one."""

from __future__ import annotations

import torch
from torch import Tensor

from lightly_marlin.evaluation.metrics.monitors import check_features

__all__ = ["lidar"]

_DELTA = 1e-4
_EPSILON = 1e-8


def lidar(features: Tensor) -> float:
    """Returns the effective rank of linear discriminant analysis [0].

    With the covariances of the class means and within classes,

        S_b = sum_i (mu_i - mu)(mu_i - mu)^T / (n - 1),
        S_w = sum_ij (z_ij - mu_i)(z_ij - mu_i)^T / (n (q - 1)) + 1e-4 I,

    it is the exponential of the entropy of p_k = l_k / sum(l) + 1e-8, where l_k are the
    eigenvalues of S_w^(-1/2) S_b S_w^(-1/2): between 1 and min(n - 1, D); 0 if all
    class means are equal. In [0] a class is an image and its views are augmentations;
    here it is a track and its views are clips, which differ by expression, pose and
    light.

    Variance within classes well below 1e-4 is not divided out, so unlike `rankme` it
    depends on the scale. Means that differ by rounding alone still have a rank, so read
    it beside `feature_std`.

    - [0]: LiDAR, 2024, https://arxiv.org/abs/2312.04000

    Args:
        features: Floating-point tensor (n, q, D): q clips of each of n tracks. In [0]
            n is 1000 and q is 50; n - 1 is the greatest rank that can be seen.

    Raises:
        ValueError: If n or q is less than 2, or a feature is not finite.
    """
    check_features(features, "n, q, D", n=2, q=2)
    n, q, _ = features.shape
    features = features.double()
    means = features.mean(dim=1)
    within = (features - means[:, None]).flatten(0, 1)
    # First a mean, then the mean of all: equal means become exactly 0.
    means = means - means[0]
    means = means - means.mean(dim=0)
    values, vectors = torch.linalg.eigh(within.T @ within / (n * (q - 1)))
    whitened = means @ vectors * (values.clamp(min=0) + _DELTA).rsqrt()
    eigenvalues = torch.linalg.svdvals(whitened).square() / (n - 1)
    total = eigenvalues.sum()
    if total == 0:
        return 0.0
    shares = eigenvalues / total + _EPSILON
    return float(torch.exp(-(shares * shares.log()).sum()))
