"""Evaluation of representations: labelled items, probes, fine-tuning, results."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

_HOMES = {
    "Finetune": "finetune",
    "Fold": "splits",
    "ItemClips": "item_clips",
    "ItemFeatures": "item_features",
    "ItemWindows": "item_clips",
    "LabelTable": "label_table",
    "Metrics": "metrics",
    "OnlineProbe": "online_probe",
    "PROTOCOLS": "protocols",
    "PairedDifference": "intervals",
    "PixelFeatures": "pixel_baseline",
    "Predictions": "result",
    "Published": "tasks",
    "Result": "result",
    "Target": "target",
    "Task": "tasks",
    "TunedModel": "tuned_model",
    "attentive_probe": "attentive_probe",
    "exact_probe": "exact_probe",
    "feature_std": "monitors",
    "few_shot": "few_shot",
    "few_shot_items": "few_shot",
    "folder_labels": "folder_labels",
    "folds": "splits",
    "get_task": "tasks",
    "grouped_bootstrap": "intervals",
    "grouped_split": "splits",
    "item_features": "item_features",
    "join_videos": "joining",
    "knn_probe": "knn_probe",
    "layer_decay_groups": "layer_decay",
    "linear_probe": "linear_probe",
    "list_tasks": "tasks",
    "load_task": "tasks",
    "metrics_for": "metrics",
    "paired_difference": "intervals",
    "per_label_metrics": "metrics",
    "primary_metric": "metrics",
    "rankme": "monitors",
    "read_labels": "reading",
    "read_splits": "split_lists",
    "register_task": "tasks",
    "released_probe": "released_probe",
    "run_protocol": "protocol",
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


class _Package(ModuleType):
    """Package in which a function hides the module of the same name."""

    def __setattr__(self, name: str, value: Any) -> None:
        """Keeps a function where the import system sets the module that defines it."""
        if isinstance(value, ModuleType) and _HOMES.get(name) == name:
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
