"""Run of `recipes/ablate.py` whose tables and plots become a committed result."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from environment import describe_machine, machine_name
from running import run_recipe

from lightly_marlin.utils.console import console
from lightly_marlin.utils.files import write_json

__all__ = ["run_ablation", "without_paths"]


def run_ablation(
    suite: str,
    content: Mapping[str, Any],
    out: Path,
    results: Path,
    facts: Mapping[str, Any],
    *,
    hidden: Sequence[Path],
) -> None:
    """Runs an ablation, or goes on with it, and writes its result.

    Args:
        suite: Name of the result.
        content: Content of the grid file.
        out: Folder of the ablation; its grid is written beside it.
        results: Folder of SUITE-<machine>.json and SUITE-<probe>.png.
        facts: What else the result says.
        hidden: Folders that the result must not name.
    """
    results.mkdir(parents=True, exist_ok=True)
    # Not `with_suffix`: a number of minutes has a point of its own.
    grid = out.with_name(f"{out.name}.yaml")
    grid.write_text(yaml.safe_dump(dict(content), sort_keys=False))
    resume = ["--resume"] if out.exists() else []
    started = time.monotonic()
    run_recipe("ablate.py", grid, "--out", out, *resume)
    ablation = json.loads((out / "ablation.json").read_text())
    path = results / f"{suite}-{machine_name()}.json"
    result = {
        "suite": suite,
        "machine": describe_machine(),
        **facts,
        "minutes_of_last_run": (time.monotonic() - started) / 60,
        "ablation": without_paths(ablation, *hidden),
    }
    write_json(path, result)
    for probe in content["probes"]:
        shutil.copyfile(out / f"{probe}.png", results / f"{suite}-{probe}.png")
    console.print(f"The result is in {path}", markup=False, soft_wrap=True)


def without_paths(value: Any, *folders: Path) -> Any:
    """Returns a JSON value in which folders of this machine are named by `...`."""
    if isinstance(value, dict):
        return {name: without_paths(part, *folders) for name, part in value.items()}
    if isinstance(value, list):
        return [without_paths(part, *folders) for part in value]
    if isinstance(value, str):
        for folder in folders:
            value = value.replace(str(folder.resolve()), "...")
    return value
