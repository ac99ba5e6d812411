"""Task of a published data set, or of one's own: a function and its defaults."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.utils.errors import UsageError

__all__ = ["Published", "Task"]


@dataclass(frozen=True)
class Published:
    """Published result of a task.

    Attributes:
        model: Name of the model, with its size where the source states it.
        metrics: Value of each metric as a share in [0, 1]. A metric has our name only
            if its formula is known to be ours; otherwise its name says what is unknown.
        note: Differences from our protocol, and what the source does not state.
    """

    model: str
    metrics: Mapping[str, float]
    note: str


@dataclass(frozen=True)
class Task:
    """Task: a function from a folder to a label table, and its defaults.

    Attributes:
        name: Name that `load_task` and `--task` take.
        load: Function of the folder and of options, which are its keyword-only
            arguments with defaults of type str, int, bool or tuple of str.
        primary: Names of the metrics to read first.
        crops: "store" where the crops of a face store serve; "videos" where JPEG
            compression hides what is to be found, so that crops should come straight
            from the videos or from a store of high quality.
        published: Published results.
    """

    name: str
    load: Callable[..., LabelTable]
    primary: tuple[str, ...] = ()
    crops: Literal["store", "videos"] = "store"
    published: tuple[Published, ...] = ()
    defaults: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        """Reads the options and their defaults from the signature of `load`."""
        parameters = inspect.signature(self.load).parameters.values()
        defaults = {
            parameter.name: parameter.default
            for parameter in parameters
            if parameter.kind is parameter.KEYWORD_ONLY
        }
        object.__setattr__(self, "defaults", defaults)

    def table(self, root: Path | str, **options: Any) -> LabelTable:
        """Returns the labelled items of a folder.

        Args:
            root: Folder of the data set.
            **options: Options of the task.

        Raises:
            UsageError: If the folder does not exist, an option is unknown, or the data
                are not what the task reads.
        """
        for name in options:
            self._check_option(name)
        root = Path(root)
        if not root.is_dir():
            raise UsageError(f"The folder {root} of the task {self.name} is missing.")
        return self.load(root, **options)

    def parse_options(self, texts: Sequence[str]) -> dict[str, Any]:
        """Returns options that were given as text at a command line.

        Args:
            texts: "name=value" each; the value of a bool is true or false, that of a
                tuple is separated by commas.

        Raises:
            UsageError: If an option or its value is invalid.
        """
        options = {}
        for text in texts:
            name, equals, value = text.partition("=")
            if not equals:
                raise UsageError(
                    f"Invalid option {text!r} of the task {self.name}: write "
                    "name=value."
                )
            self._check_option(name)
            options[name] = self._parse(name, value)
        return options

    def _check_option(self, name: str) -> None:
        if name not in self.defaults:
            known = ", ".join(self.defaults) or "none"
            raise UsageError(
                f"Invalid option {name!r} of the task {self.name}. Supported are "
                f"{known}."
            )

    def _parse(self, name: str, value: str) -> Any:
        """Returns the value of an option in the type of its default."""
        default = self.defaults[name]
        if isinstance(default, tuple):
            return tuple(part for part in value.split(",") if part)
        if isinstance(default, bool):
            if value.lower() not in ("true", "false"):
                raise UsageError(
                    f"Invalid value {value!r} of the option {name}. Supported values "
                    "are true, false."
                )
            return value.lower() == "true"
        if isinstance(default, int):
            if not value.isdecimal():
                raise UsageError(
                    f"Invalid value {value!r} of the option {name}: must be a number."
                )
            return int(value)
        return value
