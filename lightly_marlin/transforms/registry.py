"""Registry of masking strategies, from which `--mask`, gallery and docs are listed."""

from __future__ import annotations

import inspect
import re
from typing import TypeVar

from lightly_marlin.transforms.mask_strategy import MaskStrategy

__all__ = [
    "get_mask",
    "mask_choices",
    "mask_names",
    "mask_table",
    "register_mask",
    "split_mask_name",
    "unregister_mask",
]

Strategy = TypeVar("Strategy", bound=type[MaskStrategy])

_strategies: dict[str, type[MaskStrategy]] = {}


def register_mask(strategy: Strategy) -> Strategy:
    """Registers a strategy under its name; used as a class decorator.

    Raises:
        ValueError: If the name is taken or cannot be an option.
    """
    name = strategy.name
    if not re.fullmatch(r"[a-z0-9_-]+", name):
        raise ValueError(
            f"Invalid name of a mask ({name!r}). Supported are lower-case letters, "
            "digits, '-' and '_'."
        )
    if name in _strategies:
        raise ValueError(
            f"Invalid name of a mask ({name!r}): {_strategies[name].__qualname__} has "
            "it already."
        )
    _strategies[name] = strategy
    return strategy


def unregister_mask(name: str) -> None:
    """Removes a strategy from the registry.

    Raises:
        ValueError: If there is none of that name.
    """
    del _strategies[get_mask(name).name]


def mask_names() -> tuple[str, ...]:
    """Returns the names of all strategies, in the order of their positions."""
    return tuple(sorted(_strategies, key=lambda name: _strategies[name].position))


def mask_choices() -> str:
    """Returns the names of all masks as readable text."""
    return f"{', '.join(mask_names())}, and mixtures of two such as fasking+tube"


def get_mask(name: str) -> type[MaskStrategy]:
    """Returns the strategy with a name.

    Raises:
        ValueError: If there is none.
    """
    if name not in _strategies:
        raise ValueError(
            f"Invalid mask ({name!r}). Supported values are {', '.join(mask_names())}."
        )
    return _strategies[name]


def split_mask_name(name: str) -> tuple[str, ...]:
    """Returns the strategies that a name joins with "+": one, or two for a mixture.

    Args:
        name: For example "fasking" or "fasking+tube".

    Raises:
        ValueError: If a strategy is unknown, or there are more than two.
    """
    names = tuple(name.split("+"))
    known = set(names) <= set(_strategies)
    if len(names) > 2 or len(set(names)) < len(names) or not known:
        raise ValueError(
            f"Invalid mask ({name!r}). Supported values are {mask_choices()}."
        )
    return names


def mask_table() -> str:
    """Returns a Markdown table of the strategies, with a row for every name.

    Its columns: the name, the class, the first line of its docstring, and the caption.
    """
    lines = ["| `--mask` | transform | strategy | in a picture |", "|---|---|---|---|"]
    for strategy in map(get_mask, mask_names()):
        summary = (inspect.getdoc(strategy) or "").partition("\n")[0].rstrip(".")
        cells = (f"`{strategy.name}`", f"`{strategy.__name__}`", summary)
        lines.append(f"| {' | '.join(cells)} | {strategy.caption} |")
    return "\n".join(lines)
