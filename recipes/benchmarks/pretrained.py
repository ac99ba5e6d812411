"""Facts of weights that a pretraining run left, for results of benchmarks."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from lightly_marlin.training.run_folder import RunFolder
from lightly_marlin.training.settings import read_settings

__all__ = ["about_weights"]


def about_weights(path: str, facts: dict[str, Any]) -> dict[str, Any]:
    """Returns model, size of its clips, and objectives, mask and steps of its training.

    Args:
        path: The weights. What is of the training is known if a pretraining run left
            them, and otherwise None.
        facts: What a result says of the encoder.
    """
    run = RunFolder(Path(path).parent)
    about = {"model": facts["name"], "image_size": facts["img_size"]}
    if Path(path).name != run.model.name or not run.config.exists():
        return {**about, "objectives": None, "mask": None, "steps": None}
    settings = read_settings([run.config], {})
    return {
        **about,
        "model": settings.model,
        "objectives": dict(settings.objective_weights),
        "mask": settings.mask,
        "steps": _last_step(run.metrics, run.validation),
    }


def _last_step(*tables: Path) -> int | None:
    """Returns the last step of tables, of those that there are."""
    steps = []
    for table in tables:
        if table.exists():
            with table.open(newline="") as file:
                steps += [int(row["step"]) for row in csv.DictReader(file)]
    return max(steps, default=None)
