"""A command-line parser whose errors are one line, as all errors of recipes are."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import NoReturn

from lightly_marlin.utils.errors import UsageError

__all__ = ["RecipeParser"]


class RecipeParser(ArgumentParser):
    """`argparse.ArgumentParser` that raises `UsageError` instead of printing usage."""

    def error(self, message: str) -> NoReturn:
        """Raises UsageError with the message and a pointer to --help."""
        raise UsageError(f"{message} (see {self.prog} --help)")
