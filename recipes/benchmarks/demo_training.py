"""Benchmark of the README's demo: a tiny MARLIN trained in minutes on a CPU.

    python recipes/benchmarks/demo_training.py

Runs `recipes/pretrain_marlin.py` with recipes/configs/demo.yaml on the built-in demo
clips, once per seed: the seed chooses weights, masks and the held-out clips. Writes to
results/: the losses and minutes of every run as demo_training-<machine>.json, and the
README's picture, demo.png, that of the last seed. `--seeds 1` repeats or adds one seed;
the others of the same settings and machine are kept. `--picture RUN` only redraws the
picture, from an existing run such as that of `python3 run.py demo`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import yaml
from environment import describe_machine, machine_name
from running import run_recipe

from lightly_marlin.training.run_folder import MetricsCsv, RunFolder
from lightly_marlin.training.validation import VALIDATION_COLUMNS
from lightly_marlin.utils.console import console
from lightly_marlin.utils.files import atomic_write, write_json

RESULTS = Path(__file__).parent / "results"
CONFIG = Path(__file__).parents[1] / "configs" / "demo.yaml"


def train(out: Path, seed: int, options: list[str]) -> dict[str, Any]:
    """Runs the recipe into a folder; returns its minutes and losses."""
    started = time.monotonic()
    fixed = ("--config", CONFIG, "--seed", seed, "--out", out)
    run_recipe("pretrain_marlin.py", *fixed, *options)
    minutes = (time.monotonic() - started) / 60
    losses = read_losses(RunFolder(out))
    console.print(f"seed {seed}: {minutes:.1f} minutes, {losses[-1]['ratio']:.3f}")
    return {
        "seed": seed,
        "minutes": minutes,
        "final": losses[-1],
        "held_out": losses,
    }


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
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments, options = parser.parse_known_args()
    arguments.results.mkdir(parents=True, exist_ok=True)
    picture = arguments.results / "demo.png"
    if arguments.picture:
        save_picture(RunFolder(arguments.picture), picture)
        return
    path = arguments.results / f"demo_training-{machine_name()}.json"
    for seed in arguments.seeds:
        with tempfile.TemporaryDirectory() as work:
            run = train(Path(work) / "run", seed, options)
            save_picture(RunFolder(Path(work) / "run"), picture)
        result = {
            "suite": "demo_training",
            "machine": describe_machine(),
            "threads": torch.get_num_threads(),
            "settings": yaml.safe_load(CONFIG.read_text()),
            "options": options,
        }
        result["runs"] = sorted(
            [*other_runs(path, result, seed), run], key=lambda run: run["seed"]
        )
        write_json(path, result)
    console.print(f"The result is in {path}", markup=False, soft_wrap=True)


def other_runs(path: Path, result: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    """Returns the runs of other seeds that an earlier call left, made as this one."""
    if not path.exists():
        return []
    earlier = json.loads(path.read_text())
    same = ("threads", "settings", "options")
    if any(earlier.get(name) != result[name] for name in same):
        return []
    return [run for run in earlier["runs"] if run["seed"] != seed]


if __name__ == "__main__":
    main()
