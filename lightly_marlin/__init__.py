"""Self-supervised learning on face videos for Lightly: MARLIN in parts.

Importing this module is light: subpackages load on first use, and each needs only its
own dependencies. `lightly_marlin.kernels` needs torch alone.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__version__ = "0.1.0"

_SUBPACKAGES = (
    "analysis",
    "audio",
    "data",
    "demo",
    "evaluation",
    "faces",
    "features",
    "jobs",
    "kernels",
    "lip_sync",
    "loss",
    "models",
    "preparation",
    "regions",
    "store",
    "training",
    "transforms",
    "utils",
    "video",
    "visualization",
)

__all__ = [*_SUBPACKAGES]


def __getattr__(name: str) -> ModuleType:
    if name in _SUBPACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_SUBPACKAGES])
