"""Evaluation of representations: labelled items, probes, fine-tuning, results."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

_HOMES = {
    "ItemFeatures": "item_features",
    "LabelTable": "label_table",
    "PixelFeatures": "pixel_baseline",
    "Predictions": "result",
    "Result": "result",
    "Target": "target",
    "item_features": "item_features",
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
