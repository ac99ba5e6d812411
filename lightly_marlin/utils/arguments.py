"""Command lines of recipes, with errors in one line."""

from __future__ import annotations

import math
from argparse import ArgumentParser, ArgumentTypeError
from typing import NoReturn

from lightly_marlin.utils.errors import UsageError

__all__ = ["RecipeParser", "natural_number", "positive_integer", "positive_number"]


class RecipeParser(ArgumentParser):
    """`argparse.ArgumentParser` that raises `UsageError` instead of printing usage."""

    def error(self, message: str) -> NoReturn:
        """Raises UsageError with the message and a pointer to --help."""
        raise UsageError(f"{message} (see {self.prog} --help)")


def natural_number(text: str) -> int:
    """Returns the value of an option as a number; a `type` for `argparse` options.

    Raises:
        ArgumentTypeError: If it is not an integer of at least 0.
    """
    if not text.isdecimal():
        raise ArgumentTypeError(f"must be 0 or a positive integer, got {text}")
    return int(text)


def positive_number(text: str) -> float:
    """Returns the value of an option as a number; a `type` for `argparse` options.

    Raises:
        ArgumentTypeError: If it is not a finite number above 0.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ArgumentTypeError(f"must be a positive number, got {text}")
    return value


def positive_integer(text: str) -> int:
    """Returns the value of an option as a number; a `type` for `argparse` options.

    Raises:
        ArgumentTypeError: If it is not an integer of at least 1.
    """
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise ArgumentTypeError(f"must be a positive integer, got {text}")
    return value
