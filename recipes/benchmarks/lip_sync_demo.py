"""Benchmark of lip synchronisation from nothing: expert and generator on demo clips.

    python recipes/benchmarks/lip_sync_demo.py --work lips

Runs `train_sync_expert.py` and `train_lip_sync.py` with their defaults for the built-in
demo clips that talk, and measures both on clips that no training saw:

- the expert's accuracy at telling sound in sync from sound that is shifted by at least
  3 frames, and how often shifts of -10 to 10 frames are found exactly, on new clips;
- the generator's scores on the clips that its training held out: see docs/lip_sync.md.

All clips show one portrait, and its voice is noise that follows the mouth: this proves
that the parts work, not that they do on people. `--work` keeps everything; the same
command goes on where it was killed.

Writes results/lip_sync_demo-<machine>.json and the last film strip, lip_sync_demo.png.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import Any

import torch
from environment import describe_machine, machine_name
from running import run_recipe
from sync_accuracy import offsets_found, score_expert

from lightly_marlin.demo import write_demo_videos
from lightly_marlin.lip_sync import SyncExpert, talking_face
from lightly_marlin.lip_sync.generation.generator_validation import VALIDATION_COLUMNS
from lightly_marlin.training.run_folder import MetricsCsv, RunFolder
from lightly_marlin.utils.arguments import positive_integer
from lightly_marlin.utils.console import console
from lightly_marlin.utils.files import write_json

RESULTS = Path(__file__).parent / "results"
# Clips of the trainings have seed 0.
NEW_SEED, NUM_FRAMES = 1, 64


def timed(work: Path, recipe: str, out: Path, *options: object) -> float | None:
    """Trains unless it is done; returns the minutes, None if it was interrupted."""
    note = work / f"{out.name}.json"
    if not note.exists():
        whole, started = not out.exists(), time.monotonic()
        run_recipe(recipe, "--out", out, *options, "--resume")
        minutes = (time.monotonic() - started) / 60
        write_json(note, {"minutes": minutes if whole else None})
    taken: float | None = json.loads(note.read_text())["minutes"]
    return taken


def measure_expert(expert: SyncExpert, work: Path, clips: int) -> dict[str, Any]:
    """Returns the expert's scores on new clips."""
    videos = write_demo_videos(
        work / "new",
        num_clips=clips,
        num_frames=NUM_FRAMES,
        seed=NEW_SEED,
        talking=True,
    )
    faces = [talking_face(video) for video in videos]
    return {**score_expert(expert, faces), "offsets": offsets_found(expert, faces)}


def last_row(run: Path) -> dict[str, float]:
    """Returns the last validation of a generator."""
    rows = MetricsCsv(RunFolder(run).validation, VALIDATION_COLUMNS).rows()
    return {name: float(value) for name, value in rows[-1].items()}


def main() -> None:
    """Trains, measures, and writes the result and the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder to work in")
    parser.add_argument("--clips", type=positive_integer, default=12, help="new clips")
    parser.add_argument("--expert-steps", type=positive_integer)
    parser.add_argument("--generator-steps", type=positive_integer)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    work = options.work
    work.mkdir(parents=True, exist_ok=True)
    options.results.mkdir(parents=True, exist_ok=True)

    def steps(number: int | None) -> tuple[object, ...]:
        return () if number is None else ("--max-steps", number)

    expert_run, generator_run = work / "expert_run", work / "lips_run"
    minutes = {
        "expert": timed(
            work, "train_sync_expert.py", expert_run, *steps(options.expert_steps)
        )
    }
    expert = expert_run / "expert"
    generator_options = ("--expert", expert, *steps(options.generator_steps))
    minutes["generator"] = timed(
        work, "train_lip_sync.py", generator_run, *generator_options
    )
    result = {
        "suite": "lip_sync_demo",
        "machine": describe_machine(),
        "threads": torch.get_num_threads(),
        "minutes": minutes,
        "expert": measure_expert(
            SyncExpert.from_pretrained(expert), work, options.clips
        ),
        "generator": last_row(generator_run),
    }
    path = options.results / f"lip_sync_demo-{machine_name()}.json"
    write_json(path, result)
    strip = sorted((generator_run / "pictures").glob("*.png"))[-1]
    shutil.copyfile(strip, options.results / "lip_sync_demo.png")
    console.print_json(data={name: result[name] for name in ("expert", "generator")})
    console.print(f"The result is in {path}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
