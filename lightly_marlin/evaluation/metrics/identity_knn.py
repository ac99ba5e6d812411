"""Nearest-neighbour retrieval of the track that a clip is from."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from lightly.utils.benchmarking.knn import knn_predict
from torch import Tensor

from lightly_marlin.evaluation.metrics.monitors import check_features

__all__ = ["identity_knn"]


def identity_knn(features: Tensor) -> float:
    """Returns the share of clips whose nearest neighbour is of their own track.

    The first clip of every track is in the bank, the others are queries, compared by
    cosine similarity: between 0 and 1, with 1 / n by chance. All clips of a track show
    one person before one background in one light. A high share says that the features
    tell these apart, not that they are good for other tasks; read it beside a probe of
    expressions.

    Args:
        features: Floating-point tensor (n, q, D): q clips of each of n tracks.

    Raises:
        ValueError: If n or q is less than 2, or a feature is not finite.
    """
    check_features(features, "n, q, D", n=2, q=2)
    n, q, _ = features.shape
    points = F.normalize(features.double(), dim=2)
    tracks = torch.arange(n, device=features.device)
    queries = points[:, 1:].flatten(0, 1)
    predicted = knn_predict(queries, points[:, 0].T, tracks, num_classes=n, knn_k=1)
    hits = predicted[:, 0] == tracks.repeat_interleave(q - 1)
    return float(hits.double().mean())
