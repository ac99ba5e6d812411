"""Description of the data behind a result: counts per split and label, and versions."""

from __future__ import annotations

import importlib.metadata
from collections import Counter
from collections.abc import Sequence
from typing import Any

from lightly_marlin.evaluation.items.item_features import ItemFeatures
from lightly_marlin.evaluation.labels.label_table import SPLITS, LabelTable
from lightly_marlin.evaluation.labels.splits import Fold
from lightly_marlin.evaluation.probes.protocol_checks import varied_labels

__all__ = ["describe_data", "fold_names", "package_versions"]

_PACKAGES = (
    "lightly",
    "lightly-marlin",
    "numpy",
    "scikit-learn",
    "timm",
    "torch",
    "torchmetrics",
)


def fold_names(count: int) -> list[str]:
    """Returns "test" of a single fold, otherwise "fold 0" and so on.

    Args:
        count: Number of folds.
    """
    return ["test"] if count == 1 else [f"fold {number}" for number in range(count)]


def package_versions() -> dict[str, str]:
    """Returns the versions of the packages that take part, by name."""
    return {name: _version(name) for name in _PACKAGES}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        # This package, as a checkout on the path.
        return "not installed"


def describe_data(
    features: ItemFeatures, table: LabelTable, folds: Sequence[Fold]
) -> dict[str, Any]:
    """Returns the counts for `Result.data`.

    Args:
        features: Features of the items of the table.
        table: The table.
        folds: The folds.

    Returns:
        "items" of the table, of which "missing", "no_face" and "failed"; "windows";
        "groups"; "groups_shared" (groups on more than one side of a fold, at most over
        the folds); "level"; "per_split", with several folds per fold; "notes".
    """
    statuses = Counter(features.statuses)
    names = fold_names(len(folds))
    per_fold = {
        name: {
            split: _describe_split(features, table, getattr(fold, split))
            for split in SPLITS
        }
        for name, fold in zip(names, folds, strict=True)
    }
    return {
        "items": len(table),
        **{status: statuses[status] for status in ("missing", "no_face", "failed")},
        "windows": len(features.item_of_row),
        "groups": len(set(table.groups)),
        "groups_shared": max(_groups_shared(table, fold) for fold in folds),
        "level": "item",
        "per_split": per_fold["test"] if len(folds) == 1 else per_fold,
        "notes": [*table.notes, *_notes(table, folds, names)],
    }


def _describe_split(
    features: ItemFeatures, table: LabelTable, items: Sequence[int]
) -> dict[str, Any]:
    statuses = Counter(features.statuses[index] for index in items)
    present = [index for index in items if features.statuses[index] != "missing"]
    truth = table.target.truth(table.labels[present])
    counts = (~truth.isnan()).sum(dim=0).tolist()
    result = {
        "items": len(present),
        **{status: statuses[status] for status in ("missing", "no_face", "failed")},
        "windows": len(features.rows_of(items)),
        "groups": len({table.groups[index] for index in present}),
        "labelled": dict(zip(table.target.names, counts, strict=True)),
    }
    if table.target.kind == "regression":
        return result
    positives = [int(count) for count in truth.nansum(dim=0).tolist()]
    return result | {"positives": dict(zip(table.target.names, positives, strict=True))}


def _groups_shared(table: LabelTable, fold: Fold) -> int:
    sides = [{table.groups[index] for index in part} for part in fold]
    counts = Counter(group for side in sides for group in side)
    return sum(count > 1 for count in counts.values())


def _notes(table: LabelTable, folds: Sequence[Fold], names: Sequence[str]) -> list[str]:
    """Returns sentences on labels that training cannot teach."""
    notes = []
    for name, fold in zip(names, folds, strict=True):
        where = "" if name == "test" else f" of {name}"
        labels = table.labels[fold.train]
        if table.target.kind == "multiclass":
            held = set(labels[~labels.isnan()].int().tolist())
            lacking = [
                label
                for index, label in enumerate(table.target.names)
                if index not in held
            ]
            if lacking:
                notes.append(f"Training{where} has no item of: {', '.join(lacking)}.")
            continue
        varied = varied_labels(table, labels).tolist()
        single = [
            label
            for label, varies in zip(table.target.names, varied, strict=True)
            if not varies
        ]
        if single:
            notes.append(f"Training{where} has only one value of: {', '.join(single)}.")
    return notes
