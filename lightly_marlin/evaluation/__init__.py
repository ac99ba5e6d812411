"""Evaluation of representations: labelled items, probes, fine-tuning, results."""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "Finetune": "finetune",
    "Fold": "splits",
    "ItemClips": "item_clips",
    "ItemFeatures": "item_features",
    "ItemWindows": "item_clips",
    "LabelTable": "label_table",
    "Predictions": "result",
    "Published": "tasks",
    "Result": "result",
    "Target": "target",
    "Task": "tasks",
    "TunedModel": "tuned_model",
    "few_shot": "few_shot",
    "few_shot_items": "few_shot",
    "folder_labels": "folder_labels",
    "folds": "splits",
    "get_task": "tasks",
    "grouped_split": "splits",
    "join_videos": "joining",
    "layer_decay_groups": "layer_decay",
    "list_tasks": "tasks",
    "load_task": "tasks",
    "read_labels": "reading",
    "read_splits": "split_lists",
    "register_task": "tasks",
    "unregister_task": "tasks",
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
