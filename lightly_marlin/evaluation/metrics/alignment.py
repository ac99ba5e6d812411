"""Alignment and uniformity of features on the unit sphere.

- [0]: Understanding Contrastive Representation Learning through Alignment and
  Uniformity on the Hypersphere, 2020, https://arxiv.org/abs/2005.10242
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from lightly_marlin.evaluation.metrics.monitors import check_features

__all__ = ["alignment", "uniformity"]

_SCALE = 2.0


def alignment(features: Tensor) -> float:
    """Returns the mean squared distance of two clips of a track [0].

    The mean of |z_a - z_b|^2 over all pairs of clips of a track and all tracks, with
    features scaled to length 1: between 0, where the clips of a track have the same
    direction, and 4. Collapse makes it 0 as well, so read it beside `uniformity`.

    Args:
        features: Floating-point tensor (n, q, D): q clips of each of n tracks.

    Raises:
        ValueError: If n is less than 1 or q less than 2, or a feature is not finite.
    """
    check_features(features, "n, q, D", q=2)
    points = F.normalize(features.double(), dim=2)
    deviations = points - points.mean(dim=1, keepdim=True)
    # The squared distances of all pairs of q points sum to q times this sum.
    squares = deviations.square().sum(dim=(1, 2))
    return float(2 * squares.mean() / (features.shape[1] - 1))


def uniformity(features: Tensor) -> float:
    """Returns how evenly features fill the unit sphere; lower is more even [0].

    The logarithm of the mean of exp(-2 |z_i - z_j|^2) over all pairs of two features,
    scaled to length 1: between -8, for two opposite ones, and 0, where all have the
    same direction (collapse). Of directions that are spread evenly over many
    dimensions, it is near -4.

    Args:
        features: Floating-point tensor (n, D). Two clips of one track are close to each
            other and would raise it, so take one of each track.

    Raises:
        ValueError: If n is less than 2, or a feature is not finite.
    """
    check_features(features, n=2)
    points = F.normalize(features.double(), dim=1)
    exponents = -_SCALE * torch.pdist(points).square()
    return float(exponents.logsumexp(dim=0) - math.log(len(exponents)))
