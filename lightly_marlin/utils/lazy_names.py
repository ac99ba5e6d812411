"""Public names of a package that are loaded on first use."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["lazy_names"]


def lazy_names(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Returns the `__getattr__` of a package, so that each name needs its own module.

    Args:
        package: Name of the package.
        homes: Module of each public name, from the package on; with a leading dot, from
            the package around it.

    Returns:
        Function from a public name to what it names. It raises an AttributeError if
        there is no such name.
    """

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f".{homes[name]}", package), name)

    return load
