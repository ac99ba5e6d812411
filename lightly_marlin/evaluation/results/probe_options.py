"""Options of an evaluation in a file: the command line of evaluate.py as a mapping."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightly_marlin.evaluation.probes.protocols import PROTOCOLS
from lightly_marlin.evaluation.table_arguments import add_table_arguments, read_table
from lightly_marlin.features.options import PRECISIONS
from lightly_marlin.store.face_store import FaceStore
from lightly_marlin.utils.arguments import RecipeParser, positive_integer
from lightly_marlin.utils.errors import UsageError

__all__ = ["probe_arguments"]

_PATHS = ("labels", "root", "store", "videos", "splits")


def probe_arguments(options: Mapping[str, Any], folder: Path) -> tuple[str, ...]:
    """Checks the options of an evaluation, reads its labels, and returns its arguments.

    Model, weights, seed and folder of the results are left to the caller.

    Args:
        options: Options by name, with "_" for "-": those that name labelled items, and
            protocol, fractions (a single one), precision, all_faces, workers, device,
            demo_clips. Without labels and task, the labels of the demo clips are meant.
        folder: Folder that paths are relative to.

    Returns:
        Arguments of evaluate.py, with absolute paths.

    Raises:
        UsageError: If an option is unknown or has a value that is not allowed, a path
            does not exist, or the labels cannot be used.
    """
    parser = _parser()
    names = list(vars(parser.parse_args([])))
    values: dict[str, Any] = {}
    for name, value in options.items():
        if name not in names:
            raise UsageError(f"{name} is unknown. Supported are {', '.join(names)}.")
        if value is not None:
            values[name] = _path(name, value, folder) if name in _PATHS else value
    arguments = _arguments(values)
    _check(parser.parse_args(arguments))
    return tuple(arguments)


def _parser() -> RecipeParser:
    """Returns a parser of those options of evaluate.py that may be in a file."""
    parser = RecipeParser(prog="evaluate.py")
    add_table_arguments(parser)
    add = parser.add_argument
    add("--protocol", choices=list(PROTOCOLS))
    add("--fractions", type=float)
    add("--precision", choices=PRECISIONS)
    add("--all-faces", action="store_true")
    add("--workers", type=int)
    add("--device")
    add("--demo-clips", type=positive_integer)
    return parser


def _path(name: str, value: object, folder: Path) -> str:
    path = os.path.abspath(folder / str(value))
    if not os.path.exists(path):
        raise UsageError(f"{name}: {path} does not exist.")
    return path


def _arguments(values: Mapping[str, Any]) -> list[str]:
    # First, as an option of several values would take it for one of them.
    arguments = [values["labels"]] if "labels" in values else []
    for name, value in values.items():
        flag = "--" + name.replace("_", "-")
        if name == "labels" or value is False:
            continue
        if value is True:
            arguments.append(flag)
        elif name == "column":
            several = value if isinstance(value, list) else [value]
            arguments += [flag, *map(str, several)]
        elif isinstance(value, list):
            arguments += [f"{flag}={item}" for item in value]
        else:
            arguments.append(f"{flag}={value}")
    return arguments


def _check(options: Namespace) -> None:
    """Reads labels and store; raises UsageError if that is impossible."""
    if options.fractions is not None and not 0 < options.fractions <= 100:
        raise UsageError(f"fractions must be in (0, 100], got {options.fractions:g}.")
    if options.store is not None:
        FaceStore(options.store)
    if options.labels is None and options.task is None:
        if options.store is not None or options.videos is not None:
            raise UsageError("labels is missing, the labels of these videos.")
        return
    if options.store is None and options.videos is None:
        raise UsageError("store is missing, the face store of the videos.")
    read_table(options)
