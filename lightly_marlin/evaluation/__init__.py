"""Evaluation of representations: labelled items, probes, fine-tuning, results."""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "ItemFeatures": "item_features",
    "LabelTable": "label_table",
    "Metrics": "metrics",
    "PROTOCOLS": "protocols",
    "PairedDifference": "intervals",
    "Predictions": "result",
    "Result": "result",
    "Target": "target",
    "attentive_probe": "attentive_probe",
    "exact_probe": "exact_probe",
    "grouped_bootstrap": "intervals",
    "knn_probe": "knn_probe",
    "linear_probe": "linear_probe",
    "metrics_for": "metrics",
    "paired_difference": "intervals",
    "per_label_metrics": "metrics",
    "primary_metric": "metrics",
    "released_probe": "released_probe",
    "run_protocol": "protocol",
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
