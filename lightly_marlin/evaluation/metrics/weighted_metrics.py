"""Metrics of many weighted samples at once, for the bootstrap.

A resampled set is a number of times that each item counts. Scores are sorted once, and
the curves of all draws are cumulative sums of weights in that order, so that a thousand
draws take seconds. With weights of 1 the values are those of `metrics_for`, and a test
holds both to it on resampled sets.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lightly_marlin.evaluation.labels.target import Target

__all__ = ["weighted_metrics"]

# Draws are computed in chunks with at most this many weights of cells.
_CHUNK_CELLS = 4_000_000


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
    function = {
        "binary": _binary,
        "multilabel": _multilabel,
        "multiclass": _multiclass,
        "regression": _regression,
    }[target.kind]
    step = max(1, _CHUNK_CELLS // max(1, scores.numel()))
    chunks = [function(scores, truth, part) for part in torch.split(weights, step)]
    return {name: torch.cat([chunk[name] for chunk in chunks]) for name in chunks[0]}


def _binary(scores: Tensor, truth: Tensor, weights: Tensor) -> dict[str, Tensor]:
    known = ~truth[:, 0].isnan()
    s, t, w = scores[known, 0], truth[known, 0], weights[:, known]
    decisions = _decisions(s, t, w)
    auc, ap, eer = _ranking(s, t, w)
    return {
        "accuracy/flat": decisions["accuracy"],
        "balanced_accuracy": decisions["balanced_accuracy"],
        "auc/flat": auc,
        "ap/mean": ap,
        "eer": eer,
        "f1/macro": decisions["f1"],
    }


def _multilabel(scores: Tensor, truth: Tensor, weights: Tensor) -> dict[str, Tensor]:
    known = ~truth.isnan()
    items = known.nonzero()[:, 0]
    flat_s, flat_t = scores[known], truth[known]
    right = torch.where(known, ((scores > 0.5) == (truth > 0.5)).float(), 0)
    hits, counts = weights @ right.sum(dim=1), weights @ known.float().sum(dim=1)
    means: dict[str, list[Tensor]] = {"accuracy": [], "balanced_accuracy": []}
    areas, precisions = [], []
    for index in range(scores.shape[1]):
        rows = known[:, index]
        s, t, w = scores[rows, index], truth[rows, index], weights[:, rows]
        decisions = _decisions(s, t, w)
        for name, values in means.items():
            values.append(decisions[name])
        auc, ap, _ = _ranking(s, t, w)
        areas.append(auc)
        precisions.append(ap)
    both = ~torch.stack(areas).isnan()
    columns = {**means, "auc": areas, "ap": precisions}
    return {
        "accuracy/flat": hits.double() / counts.double(),
        "auc/flat": _area(flat_s, flat_t, weights, items),
        **{
            f"{name}/mean": _mean_where(torch.stack(values), both)
            for name, values in columns.items()
        },
    }


def _multiclass(scores: Tensor, truth: Tensor, weights: Tensor) -> dict[str, Tensor]:
    known = ~truth.isnan().any(dim=1)
    s, t, w = scores[known], truth[known], weights[:, known]
    size = s.shape[1]
    cells = t.argmax(dim=1) * size + s.argmax(dim=1)
    onehot = torch.nn.functional.one_hot(cells, size * size).to(w.dtype)
    table = (w @ onehot).reshape(-1, size, size).double()
    hits = table.diagonal(dim1=1, dim2=2).T
    true, claimed = table.sum(dim=2).T, table.sum(dim=1).T
    occurs = true > 0
    balanced = _mean_where(hits / true, occurs)
    areas = torch.stack([_ranking(s[:, k], t[:, k], w)[0] for k in range(size)])
    return {
        "accuracy/flat": hits.sum(dim=0) / true.sum(dim=0),
        "balanced_accuracy": balanced.where(occurs.sum(dim=0) > 1, torch.nan),
        "f1/macro": _mean_where(2 * hits / (true + claimed), true + claimed > 0),
        "auc/mean": _mean_where(areas, ~areas.isnan()),
    }


def _regression(scores: Tensor, truth: Tensor, weights: Tensor) -> dict[str, Tensor]:
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


def _decisions(scores: Tensor, truth: Tensor, weights: Tensor) -> dict[str, Tensor]:
    said, true = scores > 0.5, truth > 0.5
    cells = torch.stack([true & said, true & ~said, ~true & said, ~true & ~said], 1)
    tp, fn, fp, tn = (weights @ cells.to(weights.dtype)).double().T
    # F1 of a class that neither occurs nor is predicted is left out, as 0/0 is NaN.
    f1 = torch.stack([2 * tp / (2 * tp + fp + fn), 2 * tn / (2 * tn + fp + fn)])
    return {
        "accuracy": (tp + tn) / (tp + fn + fp + tn),
        "balanced_accuracy": (tp / (tp + fn) + tn / (tn + fp)) / 2,
        "f1": _mean_where(f1, ~f1.isnan()),
    }


def _curve(
    scores: Tensor, truth: Tensor, weights: Tensor, items: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Returns weighted true and false positives at every threshold, (draws, m) each.

    Args:
        scores: float32 tensor (cells,).
        truth: float32 tensor (cells,): 0 or 1.
        weights: float32 tensor (draws, cells), or (draws, n) with `items`.
        items: int64 tensor (cells,): column of each cell's weight.
    """
    order = scores.argsort(descending=True, stable=True)
    ends = (scores[order].diff() != 0).nonzero()[:, 0]
    ends = torch.cat([ends, torch.tensor([len(order) - 1])])
    drawn = weights[:, order if items is None else items[order]]
    # Sums of counts below 2^24 are exact in float32.
    true = (drawn * truth[order]).cumsum(dim=1)
    false = drawn.cumsum(dim=1).sub_(true)
    if len(ends) < len(order):
        true, false = true[:, ends], false[:, ends]
    return true, false


def _area_of(true: Tensor, false: Tensor) -> Tensor:
    """Returns the area under ROC curves by trapezoids, float64 (draws,)."""
    steps = false.diff(dim=1, prepend=torch.zeros_like(false[:, :1]))
    heights = true.clone()
    heights[:, 1:] += true[:, :-1]
    total = (steps.double() * heights).sum(dim=1)
    return total / (2 * true[:, -1].double() * false[:, -1].double())


def _area(scores: Tensor, truth: Tensor, weights: Tensor, items: Tensor) -> Tensor:
    if not len(scores):
        return weights.new_full((len(weights),), torch.nan, dtype=torch.float64)
    return _area_of(*_curve(scores, truth, weights, items))


def _ranking(
    scores: Tensor, truth: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns AUC, average precision and equal error rate, float64 (draws,) each."""
    if not len(scores):
        nothing = weights.new_full((len(weights),), torch.nan, dtype=torch.float64)
        return nothing, nothing, nothing
    true, false = _curve(scores, truth, weights)
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


def _mean_where(values: Tensor, kept: Tensor) -> Tensor:
    """Returns the means over the first dimension of the values that are kept."""
    total = torch.where(kept, values, 0).sum(dim=0)
    return total / kept.sum(dim=0)
