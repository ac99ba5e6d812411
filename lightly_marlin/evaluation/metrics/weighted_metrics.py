"""Metrics of many weighted samples at once, for the bootstrap.

A resampled set is a number of times that each item counts. Scores are sorted once, and
the curves of all draws are cumulative sums of weights in that order, so that a thousand
draws take seconds. With weights of 1 the values are those of `metrics_for`, and a test
holds both to it on resampled sets.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lightly_marlin.evaluation.labels.target import Target

__all__ = ["weighted_metrics"]

# Draws are computed in chunks with at most this many weights of cells.
_CHUNK_CELLS = 4_000_000

_Measure = Callable[[Tensor], dict[str, Tensor]]
"""Function from weights float32 (draws, n) to metrics float64 (draws,) by name."""


def weighted_metrics(
    target: Target, scores: Tensor, truth: Tensor, weights: Tensor
) -> dict[str, Tensor]:
    """Returns the metrics of `metrics_for` on every draw, without counts of labels.

    Args:
        target: Kind and names of the labels.
        scores: float32 tensor (n, K), see `Target.scores`.
        truth: float32 tensor (n, K), see `Target.truth`; NaN where empty.
        weights: float32 tensor (draws, n): number of times each item counts.

    Returns:
        float64 tensors (draws,) by name; NaN where undefined.
    """
    prepare = {
        "binary": _binary,
        "multilabel": _multilabel,
        "multiclass": _multiclass,
        "regression": _regression,
    }[target.kind]
    measure = prepare(scores, truth)
    step = max(1, _CHUNK_CELLS // max(1, scores.numel()))
    chunks = [measure(part) for part in torch.split(weights, step)]
    return {name: torch.cat([chunk[name] for chunk in chunks]) for name in chunks[0]}


def _binary(scores: Tensor, truth: Tensor) -> _Measure:
    cells, ranking = _decision_cells(scores, truth)[:, 0], _Ranking(scores, truth)

    def measure(weights: Tensor) -> dict[str, Tensor]:
        decisions = _decisions(weights @ cells)
        auc, ap, eer = ranking.measure(weights)
        return {
            "accuracy/flat": decisions["accuracy"],
            "balanced_accuracy": decisions["balanced_accuracy"],
            "auc/flat": auc,
            "ap/mean": ap,
            "eer": eer,
            "f1/macro": decisions["f1"],
        }

    return measure


def _multilabel(scores: Tensor, truth: Tensor) -> _Measure:
    cells, flat = _decision_cells(scores, truth), _Ranking(scores, truth)
    rankings = [_Ranking(s, t) for s, t in zip(scores.T, truth.T, strict=True)]

    def measure(weights: Tensor) -> dict[str, Tensor]:
        counts = torch.einsum("dn,nkc->kdc", weights, cells)
        decisions = _decisions(counts)
        areas, precisions, _ = map(
            torch.stack,
            zip(*(ranking.measure(weights) for ranking in rankings), strict=True),
        )
        both = ~areas.isnan()
        means = {
            "accuracy": decisions["accuracy"],
            "balanced_accuracy": decisions["balanced_accuracy"],
            "auc": areas,
            "ap": precisions,
        }
        return {
            "accuracy/flat": _decisions(counts.double().sum(dim=0))["accuracy"],
            "auc/flat": flat.area(weights),
            **{
                f"{name}/mean": _mean_where(values, both)
                for name, values in means.items()
            },
        }

    return measure


def _multiclass(scores: Tensor, truth: Tensor) -> _Measure:
    size = scores.shape[1]
    # Rows without a label are 0 everywhere: they count as no class.
    known = ~truth.isnan().any(dim=1, keepdim=True)
    true_class = torch.where(known, truth, 0)
    said_class = known * torch.nn.functional.one_hot(scores.argmax(dim=1), size).float()
    rankings = [_Ranking(s, t) for s, t in zip(scores.T, truth.T, strict=True)]

    def measure(weights: Tensor) -> dict[str, Tensor]:
        hits, true, claimed = (
            (weights @ rows).double().T
            for rows in (true_class * said_class, true_class, said_class)
        )
        occurs = true > 0
        balanced = _mean_where(hits / true, occurs)
        areas = torch.stack([ranking.area(weights) for ranking in rankings])
        return {
            "accuracy/flat": hits.sum(dim=0) / true.sum(dim=0),
            "balanced_accuracy": balanced.where(occurs.sum(dim=0) > 1, torch.nan),
            "f1/macro": _mean_where(2 * hits / (true + claimed), true + claimed > 0),
            "auc/mean": _mean_where(areas, ~areas.isnan()),
        }

    return measure


def _regression(scores: Tensor, truth: Tensor) -> _Measure:
    return lambda weights: _regression_metrics(scores, truth, weights)


def _regression_metrics(
    scores: Tensor, truth: Tensor, weights: Tensor
) -> dict[str, Tensor]:
    w = weights.double()
    errors, correlations, varies = [], [], []
    for index in range(scores.shape[1]):
        known = ~truth[:, index].isnan()
        s, t = scores[known, index].double(), truth[known, index].double()
        part = w[:, known]
        count = part.sum(dim=1)
        errors.append(part @ (s - t).abs() / count)
        spread_s, spread_t = _spread(s, part), _spread(t, part)
        # Centred first: differences of large sums would lose the small ones.
        mean_s, mean_t = part @ s / count, part @ t / count
        ds, dt = s - mean_s[:, None], t - mean_t[:, None]
        products = ((part * ds * dt).sum(1), (part * ds * ds).sum(1))
        value = products[0] / (products[1] * (part * dt * dt).sum(1)).sqrt()
        correlations.append(value.where((spread_s > 0) & (spread_t > 0), torch.nan))
        varies.append(spread_t > 0)
    error = torch.stack(errors)
    return {
        "mae": _mean_where(error, ~error.isnan()),
        "pearson": _mean_where(torch.stack(correlations), torch.stack(varies)),
    }


def _spread(values: Tensor, weights: Tensor) -> Tensor:
    """Returns the difference of the greatest and the least drawn value, (draws,)."""
    if not len(values):
        return torch.zeros(len(weights), dtype=values.dtype)
    drawn = weights > 0
    high = values.expand(len(weights), -1).where(drawn, -torch.inf).amax(dim=1)
    low = values.expand(len(weights), -1).where(drawn, torch.inf).amin(dim=1)
    return high - low


def _decision_cells(scores: Tensor, truth: Tensor) -> Tensor:
    """Returns 1 at what each cell is, float32 (n, K, 4): TP, FN, FP or TN.

    A cell without a label is none of them.
    """
    said, true, false = scores > 0.5, truth > 0.5, truth <= 0.5
    cells = [true & said, true & ~said, false & said, false & ~said]
    return torch.stack(cells, dim=2).float()


def _decisions(counts: Tensor) -> dict[str, Tensor]:
    """Returns metrics of decisions, float64 (…,).

    Args:
        counts: Floating-point tensor (…, 4): TP, FN, FP and TN.
    """
    tp, fn, fp, tn = counts.double().unbind(dim=-1)
    # F1 of a class that neither occurs nor is predicted is left out, as 0/0 is NaN.
    f1 = torch.stack([2 * tp / (2 * tp + fp + fn), 2 * tn / (2 * tn + fp + fn)])
    return {
        "accuracy": (tp + tn) / (tp + fn + fp + tn),
        "balanced_accuracy": (tp / (tp + fn) + tn / (tn + fp)) / 2,
        "f1": _mean_where(f1, ~f1.isnan()),
    }


class _Ranking:
    """Cells with a label in the order of their scores, to draw curves of any weights.

    ROC and precision-recall curves have a point at every distinct score.
    """

    def __init__(self, scores: Tensor, truth: Tensor) -> None:
        """Sorts the cells.

        Args:
            scores: float32 tensor (n,) or (n, K).
            truth: float32 tensor of that shape: 0 or 1; NaN where empty.
        """
        known = ~truth.isnan()
        scores, order = scores[known].sort(descending=True, stable=True)
        self._items = known.nonzero()[order, 0]
        self._truth = truth[known][order]
        # Cells of one score are on one side of any threshold: the last of them counts.
        last = scores.diff(append=scores.new_full((1,), torch.nan)) != 0
        self._ends = None if last.all() else last.nonzero()[:, 0]

    def area(self, weights: Tensor) -> Tensor:
        """Returns the area under ROC curves, float64 (draws,).

        Args:
            weights: float32 tensor (draws, n).
        """
        if not len(self._items):
            return weights.new_full((len(weights),), torch.nan, dtype=torch.float64)
        return _area_of(*self._curve(weights))

    def measure(self, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns AUC, average precision and equal error rate, float64 (draws,) each.

        Args:
            weights: float32 tensor (draws, n).
        """
        if not len(self._items):
            nothing = self.area(weights)
            return nothing, nothing, nothing
        true, false = self._curve(weights)
        auc = _area_of(true, false)
        both = ~auc.isnan()
        gained = true.diff(dim=1, prepend=torch.zeros_like(true[:, :1]))
        precision = (true / (true + false)).nan_to_num_()
        ap = (gained * precision).sum(dim=1, dtype=torch.float64) / true[:, -1]
        rates = false / false[:, -1:], 1 - true / true[:, -1:]
        # The curve begins at (0, 0), where nothing is called positive.
        gaps = (rates[0] - rates[1]).abs_()
        place = gaps.nan_to_num_(nan=2.0).argmin(dim=1, keepdim=True)
        middle = ((rates[0] + rates[1]).gather(1, place)[:, 0] / 2).double()
        eer = middle.where(gaps.gather(1, place)[:, 0] < 1, 0.5)
        return auc, ap.where(both, torch.nan), eer.where(both, torch.nan)

    def _curve(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Returns weighted true and false positives at every threshold, (draws, m)."""
        drawn = weights[:, self._items]
        # Sums of counts below 2^24 are exact in float32.
        true = (drawn * self._truth).cumsum(dim=1)
        false = drawn.cumsum(dim=1).sub_(true)
        if self._ends is not None:
            true, false = true[:, self._ends], false[:, self._ends]
        return true, false


def _area_of(true: Tensor, false: Tensor) -> Tensor:
    """Returns the area under ROC curves by trapezoids, float64 (draws,)."""
    steps = false.diff(dim=1, prepend=torch.zeros_like(false[:, :1]))
    heights = true.clone()
    heights[:, 1:] += true[:, :-1]
    total = (steps.double() * heights).sum(dim=1)
    return total / (2 * true[:, -1].double() * false[:, -1].double())


def _mean_where(values: Tensor, kept: Tensor) -> Tensor:
    """Returns the means over the first dimension of the values that are kept."""
    total = torch.where(kept, values, 0).sum(dim=0)
    return total / kept.sum(dim=0)
