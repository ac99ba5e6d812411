"""Benchmark of the README's demo: a tiny MARLIN trained in minutes on a CPU.

    python recipes/benchmarks/demo_training.py

Runs `recipes/pretrain_marlin.py` with its settings for the tiny model on the built-in
demo clips, then reconstructs a held-out clip. Writes to results/: the losses and the
minutes as demo_training-<machine>.json, and the README's picture, demo.png. `--picture
RUN` only redraws the picture, from an existing run such as that of `python3 run.py
demo`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from environment import describe_machine, machine_name
from running import run_recipe

from lightly_marlin.training.run_folder import MetricsCsv, RunFolder
from lightly_marlin.training.validation import VALIDATION_COLUMNS
from lightly_marlin.utils.console import console
from lightly_marlin.utils.files import atomic_write, write_json

RESULTS = Path(__file__).parent / "results"


def train(out: Path, options: list[str]) -> float:
    """Runs the recipe into a folder; returns its duration in seconds."""
    started = time.monotonic()
    fixed = ("--model", "marlin_vit_tiny", "--out", out)
    run_recipe("pretrain_marlin.py", *fixed, *options)
    return time.monotonic() - started


def read_losses(folder: RunFolder) -> list[dict[str, float]]:
    """Returns the held-out losses of the run, one entry per validation."""
    rows = MetricsCsv(folder.validation, VALIDATION_COLUMNS).rows()
    return [{name: float(value) for name, value in row.items()} for row in rows]


def save_picture(folder: RunFolder, path: Path) -> None:
    """Saves the run's last picture at half its size."""
    from PIL import Image

    with Image.open(sorted(folder.pictures.glob("step_*.png"))[-1]) as sheet:
        size = (sheet.width // 2, sheet.height // 2)
        small = sheet.resize(size, Image.Resampling.LANCZOS)
    with atomic_write(path) as temporary:
        small.quantize(256).save(temporary, optimize=True)


def main() -> None:
    """Trains, and writes the result and the picture."""
    parser = argparse.ArgumentParser(
        description="Time the demo training. Further options go to the recipe."
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--picture", type=Path, metavar="RUN")
    arguments, options = parser.parse_known_args()
    arguments.results.mkdir(parents=True, exist_ok=True)
    if arguments.picture:
        save_picture(RunFolder(arguments.picture), arguments.results / "demo.png")
        return
    with tempfile.TemporaryDirectory() as work:
        folder = RunFolder(Path(work) / "run")
        seconds = train(folder.path, options)
        losses = read_losses(folder)
        save_picture(folder, arguments.results / "demo.png")
    result: dict[str, Any] = {
        "suite": "demo_training",
        "machine": describe_machine(),
        "minutes": seconds / 60,
        "final": losses[-1],
        "held_out": losses,
    }
    path = arguments.results / f"demo_training-{machine_name()}.json"
    write_json(path, result)
    ratio = losses[-1]["ratio"]
    console.print(f"{seconds / 60:.1f} minutes, ratio {ratio:.3f}: {path}")


if __name__ == "__main__":
    main()
