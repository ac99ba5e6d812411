"""Evaluation of representations: labelled items, probes, fine-tuning, results."""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "Fold": "splits",
    "ItemFeatures": "item_features",
    "LabelTable": "label_table",
    "Predictions": "result",
    "Result": "result",
    "Target": "target",
    "few_shot": "few_shot",
    "few_shot_items": "few_shot",
    "folder_labels": "folder_labels",
    "folds": "splits",
    "grouped_split": "splits",
    "join_videos": "joining",
    "read_labels": "reading",
    "read_splits": "split_lists",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    """Loads a public name on first use: probes need no trainer, tables no torchmetrics.

    Raises:
        AttributeError: If there is no such name.
    """
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_HOMES[name]}")
    return getattr(module, name)
