"""Configuration of a run, which stays the same when the run is resumed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import yaml

from lightly_marlin.training.run_folder import RunFolder
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import atomic_write

__all__ = ["check_same_config", "write_config"]


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def check_same_config(
    folder: RunFolder,
    values: Mapping[str, Any],
    flag: Callable[[str], str] = _flag,
) -> None:
    """Checks that a run to resume was begun with the same settings.

    Args:
        folder: The folder of the run. Without a config.yaml, there is nothing to check.
        values: Plain values, as for `write_config`.
        flag: Returns how the command line calls a setting.

    Raises:
        UsageError: If a setting differs, or the file cannot be read.
    """
    if not folder.config.exists():
        return
    try:
        before = yaml.safe_load(folder.config.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{folder.config} cannot be read: {error}.") from error
    before = before if isinstance(before, dict) else {}
    for name, value in values.items():
        if before.get(name) != value:
            raise UsageError(
                f"The run in {folder.path} was begun with {flag(name)} "
                f"{before.get(name)}, not {value}. Resume with the same options, or "
                "choose another --out."
            )


def write_config(folder: RunFolder, values: Mapping[str, Any]) -> None:
    """Writes config.yaml, atomically.

    Args:
        folder: The folder of the run.
        values: Settings that the end state depends on, as plain values by name.
    """
    text = yaml.safe_dump(dict(values), sort_keys=False)
    with atomic_write(folder.config) as temporary:
        temporary.write_text(text, encoding="utf-8")
