"""kNN probe: labels of the nearest training windows, weighted by similarity.

As Lightly's `knn_predict` [0], which returns classes without their scores: cosine
similarities of features, weights exp(similarity / temperature) of the k nearest. Scores
are the weighted mean of the neighbours' labels, one-hot for classes, so that several
labels and values work the same way. The order of classes equals `knn_predict`'s.

- [0]: https://github.com/lightly-ai/lightly, lightly/utils/benchmarking/knn.py
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lightly_marlin.evaluation.items.item_features import ItemFeatures
from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.evaluation.labels.target import Target
from lightly_marlin.evaluation.probes.probe_rows import Fitted, ProbeRows, check_vectors
from lightly_marlin.evaluation.probes.protocol import run_protocol
from lightly_marlin.evaluation.results.result import Result

__all__ = ["fit_knn", "knn_probe", "knn_scores"]

_MOST_NEIGHBOURS = 200
_SHARE_OF_ROWS = 5
_CHUNK_ROWS = 256


def knn_probe(
    features: ItemFeatures,
    table: LabelTable,
    seed: int = 0,
    *,
    k: int | None = None,
    temperature: float = 0.07,
    **options: Any,
) -> Result:
    """Tests features by their nearest neighbours; nothing is fitted or chosen.

    Args:
        features: Features (rows, D) of the items of the table.
        table: Labels.
        seed: Seed of folds and intervals.
        k: Number of neighbours; 200, or a fifth of the training rows if that is less,
            if left out.
        temperature: Temperature of the weights, above 0.
        **options: Options of `run_protocol`.

    Raises:
        UsageError: See `run_protocol`, and if the features are tokens.
        ValueError: If k or temperature is out of range.
    """
    if (k is not None and k < 1) or temperature <= 0:
        raise ValueError(
            f"Invalid k ({k}) or temperature ({temperature}). k has to be at least 1 "
            "and temperature above 0."
        )

    def fit(train: ProbeRows, _: ProbeRows, target: Target, __: int) -> Fitted:
        return fit_knn(train, target, k=k, temperature=temperature)

    protocol = {"name": "knn", "k": k, "temperature": temperature}
    return run_protocol(fit, features, table, seed=seed, protocol=protocol, **options)


def fit_knn(
    train: ProbeRows, target: Target, *, k: int | None = None, temperature: float = 0.07
) -> Fitted:
    """Keeps the training rows as neighbours.

    Args:
        train: Training rows.
        target: Kind and names of the labels.
        k: See `knn_probe`.
        temperature: See `knn_probe`.
    """
    check_vectors(train, "knn")
    bank = F.normalize(train.features.float(), dim=1)
    truth = target.truth(train.labels)
    constant = target.constant(train.labels)
    wanted = min(_MOST_NEIGHBOURS, len(bank) // _SHARE_OF_ROWS) if k is None else k
    nearest = max(1, min(wanted, len(bank)))

    def predict(rows: Tensor) -> Tensor:
        scores = knn_scores(
            F.normalize(rows.float(), dim=1), bank, truth, nearest, temperature
        )
        # No neighbour has the label.
        return torch.where(scores.isnan(), constant, scores)

    return Fitted(predict, {"k": nearest})


def knn_scores(
    features: Tensor, bank: Tensor, truth: Tensor, k: int, temperature: float
) -> Tensor:
    """Returns the weighted means of the labels of the nearest rows of a bank.

    Args:
        features: float32 tensor (rows, D) of norm 1.
        bank: float32 tensor (N, D) of norm 1.
        truth: float32 tensor (N, K): labels of the bank, see `Target.truth`; NaN where
            empty, which does not count.
        k: Number of neighbours, at most N.
        temperature: Temperature of the weights, above 0.

    Returns:
        float32 tensor (rows, K); NaN where no neighbour has a label.
    """
    known = (~truth.isnan()).float()
    values = truth.nan_to_num()
    parts = []
    for part in torch.split(features, _CHUNK_ROWS):
        similarity, index = (part @ bank.T).topk(k, dim=1)
        # Divided by the greatest weight: the same means, and no overflow.
        weights = ((similarity - similarity[:, :1]) / temperature).exp()[:, None]
        total = weights @ values[index]
        parts.append((total / (weights @ known[index]))[:, 0])
    return torch.cat(parts) if parts else features.new_zeros(0, truth.shape[1])
