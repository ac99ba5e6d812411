"""Runs of recipes, for benchmarks that measure what recipes do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

__all__ = ["run_recipe"]

RECIPES = Path(__file__).parents[1]


def run_recipe(name: str, *arguments: object) -> None:
    """Runs a recipe in a process of its own.

    Args:
        name: File name of the recipe.
        arguments: Its arguments.

    Raises:
        CalledProcessError: If it fails.
    """
    command = [sys.executable, str(RECIPES / name), *map(str, arguments)]
    subprocess.run(command, check=True)
