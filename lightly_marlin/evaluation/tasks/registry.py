"""Registry of tasks: those of this package, registered ones, entries of packages."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any

from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.evaluation.tasks.task import Task
from lightly_marlin.utils.errors import UsageError, first_line

__all__ = ["get_task", "list_tasks", "load_task", "register_task", "unregister_task"]

_ENTRY = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")

_tasks: dict[str, Task] = {}


def register_task(task: Task) -> None:
    """Registers a task, in place of an earlier one of that name.

    Raises:
        ValueError: If the name is built in or cannot be an option.
    """
    if task.name in _built_in() or not re.fullmatch(r"[a-z0-9_-]+", task.name):
        raise ValueError(
            f"Invalid name of a task ({task.name!r}). Supported are lower-case "
            f"letters, digits, '-' and '_'; {', '.join(_built_in())} are taken."
        )
    _tasks[task.name] = task


def unregister_task(name: str) -> None:
    """Takes a task out of the registry.

    Raises:
        ValueError: If none is registered under that name.
    """
    if name not in _tasks:
        raise ValueError(f"Invalid name of a task ({name!r}): not registered.")
    del _tasks[name]


def list_tasks() -> list[str]:
    """Returns the names of all tasks, the built-in ones first."""
    return [*_built_in(), *_tasks]


def get_task(name: str) -> Task:
    """Returns a task.

    Args:
        name: One of `list_tasks`, or an entry "package.module:name" of a `Task` or of
            a function from a folder to a `LabelTable`.

    Raises:
        UsageError: If there is no such task.
    """
    known = _built_in().get(name) or _tasks.get(name)
    if known is not None:
        return known
    if not _ENTRY.fullmatch(name):
        raise UsageError(
            f"Invalid task ({name!r}). Supported values are {', '.join(list_tasks())}, "
            "or package.module:function."
        )
    module, _, attribute = name.partition(":")
    try:
        entry = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"Invalid task ({name!r}): {first_line(error)}. Its module must be "
            "installed or on PYTHONPATH."
        ) from error
    if isinstance(entry, Task):
        return entry
    if not callable(entry):
        raise UsageError(
            f"Invalid task ({name!r}): it is a {type(entry).__name__}, not a Task or a "
            "function from a folder to a LabelTable."
        )
    return Task(name, entry)


def load_task(name: str, root: Path | str, **options: Any) -> LabelTable:
    """Returns the labelled items of a task.

    Args:
        name: One of `list_tasks`, or an entry "package.module:function".
        root: Folder of the data set.
        **options: Options of the task, see its module.

    Returns:
        The table; joined with videos or stores later, so videos may be missing.

    Raises:
        UsageError: If task, option or data are not supported; the message names them.
    """
    table = get_task(name).table(root, **options)
    if not isinstance(table, LabelTable):
        raise UsageError(
            f"Invalid task ({name!r}): it returned a {type(table).__name__}, not a "
            "LabelTable."
        )
    return table


@functools.cache
def _built_in() -> dict[str, Task]:
    """Returns the tasks of this folder: every module's `TASKS`."""
    package = importlib.import_module("lightly_marlin.evaluation.tasks")
    modules = [
        importlib.import_module(f"{package.__name__}.{module.name}")
        for module in pkgutil.iter_modules(package.__path__)
    ]
    tasks = [task for module in modules for task in getattr(module, "TASKS", ())]
    return {task.name: task for task in tasks}
