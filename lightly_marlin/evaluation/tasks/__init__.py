"""Tasks of published data sets, each a function from a folder to a label table."""

from lightly_marlin.evaluation.tasks.registry import (
    get_task,
    list_tasks,
    load_task,
    register_task,
    unregister_task,
)
from lightly_marlin.evaluation.tasks.task import Published, Task

__all__ = [
    "Published",
    "Task",
    "get_task",
    "list_tasks",
    "load_task",
    "register_task",
    "unregister_task",
]
