"""Protocol that all probes share: folds, fitting, item scores, metrics and baseline.

Each fold is fitted on the windows of its training items; settings are chosen on its
validation items; its test items are scored once. An item's score is the mean of its
windows' scores. Test items without a face, or whose video could not be read, stay in
with the score of the constant predictor; items whose video is missing are left out and
counted.

With several folds the scores of all tests are pooled. The constant predictor then
differs a little between folds, which may put its pooled AUC below 0.5; metrics per fold
are in `Result.data`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from lightly_marlin.evaluation.items.item_features import ItemFeatures
from lightly_marlin.evaluation.labels.few_shot import few_shot_items
from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.evaluation.labels.splits import Fold
from lightly_marlin.evaluation.labels.splits import folds as draw_folds
from lightly_marlin.evaluation.metrics.metrics import metrics_for
from lightly_marlin.evaluation.probes.probe_rows import Fit, Fitted, ProbeRows
from lightly_marlin.evaluation.probes.protocol_checks import (
    check_features,
    check_test,
    check_train,
    check_val,
)
from lightly_marlin.evaluation.probes.protocol_data import (
    describe_data,
    fold_names,
    package_versions,
)
from lightly_marlin.evaluation.results.result import Predictions, Result
from lightly_marlin.evaluation.results.tested_items import (
    predictions_of,
    result_numbers,
)

__all__ = ["Pool", "run_protocol"]

Pool = Literal["windows", "mean"]


def run_protocol(
    fit: Fit,
    features: ItemFeatures,
    table: LabelTable,
    *,
    seed: int = 0,
    protocol: Mapping[str, Any] | None = None,
    pool: Pool = "windows",
    folds: Sequence[Fold] | None = None,
    fraction: float | None = None,
    per_class: int | None = None,
    draws: int = 1000,
) -> Result:
    """Fits and tests a probe.

    Args:
        fit: Function that fits the probe on one fold.
        features: Features of the items of the table.
        table: Labels.
        seed: Seed of folds, few-shot subsets, probe and intervals.
        protocol: Settings of the probe, for the result.
        pool: "windows": every window is a row, and scores are averaged; "mean": the
            mean over its windows is the row of an item.
        folds: Train, val and test of each fold; `splits.folds` of the table if left
            out.
        fraction: Share of the training items to keep, see `few_shot_items`.
        per_class: Number of training items to keep per class instead.
        draws: Number of draws of the intervals.

    Returns:
        The result. The same arguments give the same result on one machine, except for
        its `seconds`.

    Raises:
        UsageError: If features are not finite, a fold cannot be fitted or tested, or
            the few-shot subset cannot be drawn; the message names the item or split.
        ValueError: If the features are not those of the table.
    """
    started = time.perf_counter()
    check_features(features, table)
    if pool not in ("windows", "mean"):
        raise ValueError(
            f"Invalid pool ({pool!r}). Supported values are windows, mean."
        )
    parts = _folds(table, folds, seed, fraction, per_class)
    tested = [_present(features, fold.test) for fold in parts]
    check_test(table, sorted({index for items in tested for index in items}))
    names = fold_names(len(parts))
    rows = features.mean_of_windows() if pool == "mean" else features
    outcomes = {
        name: _run_fold(fit, rows, features.window_counts(), table, fold, name, seed)
        for fold, name in zip(parts, names, strict=True)
    }
    predictions = _joined([outcome.items for outcome in outcomes.values()])
    levels = {"": predictions}
    if table.target.kind == "binary" and pool == "windows":
        levels["window/"] = _joined([outcome.windows for outcome in outcomes.values()])
    settings = {
        **(protocol or {}),
        "pool": pool,
        "folds": len(parts),
        "fraction": fraction,
        "per_class": per_class,
        "metrics": list(table.metrics),
        "draws": draws,
        "features": dict(features.options),
    }
    return Result(
        task=table.name,
        target=table.target,
        protocol=settings,
        data=describe_data(features, table, parts) | _per_fold(table, outcomes),
        model=dict(features.model),
        seed=seed,
        **result_numbers(table, levels, draws=draws, seed=seed),
        chosen={name: dict(outcome.chosen) for name, outcome in outcomes.items()},
        predictions=predictions,
        versions=package_versions(),
        seconds=time.perf_counter() - started,
    )


@dataclass(frozen=True, eq=False)
class _Outcome:
    """Tested items of a fold, their windows one by one, and what was chosen."""

    items: Predictions
    windows: Predictions
    chosen: Mapping[str, Any]


def _folds(
    table: LabelTable,
    folds: Sequence[Fold] | None,
    seed: int,
    fraction: float | None,
    per_class: int | None,
) -> list[Fold]:
    if folds is None:
        folds = draw_folds(table, seed)
    if fraction is None and per_class is None:
        return list(folds)
    return [
        fold._replace(
            train=few_shot_items(
                table, fold.train, fraction=fraction, per_class=per_class, seed=seed
            )
        )
        for fold in folds
    ]


def _present(features: ItemFeatures, items: Sequence[int]) -> list[int]:
    return [index for index in items if features.statuses[index] != "missing"]


def _run_fold(
    fit: Fit,
    features: ItemFeatures,
    windows: Tensor,
    table: LabelTable,
    fold: Fold,
    name: str,
    seed: int,
) -> _Outcome:
    train_items = _present(features, fold.train)
    train = ProbeRows.of(features, table, train_items)
    val = ProbeRows.of(features, table, _present(features, fold.val))
    check_train(table, train, name)
    check_val(table, val, name)
    constant = table.target.constant(table.labels[train_items])
    fitted = fit(train, val, table.target, seed)
    items = _present(features, fold.test)
    outcome = _test(fitted, features, table, items, constant, name)
    # Of pooled windows, the number that was pooled.
    tested = replace(outcome.items, windows=windows[items])
    return replace(outcome, items=tested)


def _test(
    fitted: Fitted,
    features: ItemFeatures,
    table: LabelTable,
    items: list[int],
    constant: Tensor,
    name: str,
) -> _Outcome:
    part = features.subset(items)
    item_of_row = part.item_of_row
    scores = torch.zeros(0, table.target.num_outputs)
    if len(item_of_row):
        scores = fitted.predict(part.features).float()
    predictions = predictions_of(table, items, scores, item_of_row, constant, name)
    each = item_of_row.tolist()
    return _Outcome(
        predictions,
        Predictions(
            items=tuple(predictions.items[item] for item in each),
            groups=tuple(predictions.groups[item] for item in each),
            splits=(name,) * len(each),
            windows=torch.ones(len(each), dtype=torch.int64),
            truth=predictions.truth[item_of_row],
            scores=scores,
            constant=predictions.constant[item_of_row],
        ),
        fitted.chosen,
    )


def _joined(parts: Sequence[Predictions]) -> Predictions:
    def join(field: str) -> tuple[str, ...]:
        return tuple(value for part in parts for value in getattr(part, field))

    def cat(field: str) -> Tensor:
        return torch.cat([getattr(part, field) for part in parts])

    return Predictions(
        items=join("items"),
        groups=join("groups"),
        splits=join("splits"),
        windows=cat("windows"),
        truth=cat("truth"),
        scores=cat("scores"),
        constant=cat("constant"),
    )


def _per_fold(table: LabelTable, outcomes: Mapping[str, _Outcome]) -> dict[str, Any]:
    if len(outcomes) == 1:
        return {}
    metrics = metrics_for(table.target, table.metrics)
    return {
        "metrics_per_fold": {
            name: metrics(outcome.items.scores, outcome.items.truth)
            for name, outcome in outcomes.items()
        }
    }
