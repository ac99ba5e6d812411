"""Study of the objectives on real clips: what each teaches in equal steps.

    python recipes/benchmarks/objective_study.py DATA --work study
    python recipes/benchmarks/objective_study.py DATA --work study --steps 2000
    python recipes/benchmarks/objective_study.py DATA --work study --variants latent

DATA is a folder as `faces.py` needs it. Tiny models are pretrained on its `videos/` and
`more_videos/` at 112 pixels, with every variant and three seeds, through
`recipes/ablate.py`, and probed on

- the labels of 96 demo clips (talking, smile, brow, nod), by the exact and the grid
  probe;
- a set of labelled face pictures, if there is one, by the exact, grid and
  nearest-neighbour probe. `--pictures` names a table with columns `picture` (a path
  from the table on) and `label`; each picture becomes a video of 16 equal frames in
  WORK, and nothing of it gets into the result.

Random initialisation, pixels and the constant predictor are rows of the table. `--work`
keeps everything; the same command goes on where it was killed, with more variants or
seeds too, and another number of steps has a folder of its own.

Fewer variants or seeds than before need another folder.

Writes results/NAME-<machine>.json, by default NAME is objective_study, and a picture
for each probe.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ablation_run import run_ablation
from PIL import Image
from running import run_recipe

from lightly_marlin.evaluation.results.table_files import write_csv
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.video import write_video

RESULTS = Path(__file__).parent / "results"
DEMO_CLIPS = 96
NUM_FRAMES = 16

_AUGMENTED = {"flip": 0.5, "crop_scale": 0.5, "color": 0.3}

VARIANTS: dict[str, dict[str, Any]] = {
    "pixels": {"objectives": ["pixels=1"], "mask": "fasking"},
    "pixels_tube": {"objectives": ["pixels=1"], "mask": "tube"},
    "pixels_critic": {"objectives": ["pixels=1", "adversarial=0.001"]},
    "norm_pixels": {"objectives": ["norm_pixels=1"]},
    "motion": {"objectives": ["motion=1"]},
    "latent": {"objectives": ["latent=1"], "mask": "random", "mask_ratio": 0.75},
    "latent_pixels": {"objectives": ["pixels=1", "latent=0.1"]},
    "instance": {
        "objectives": ["instance=1"],
        "mask": "random",
        "mask_ratio": 0.5,
        **_AUGMENTED,
    },
    "contrast": {
        "objectives": ["contrast=1"],
        "mask": "random",
        "mask_ratio": 0.5,
        **_AUGMENTED,
    },
}
"""Settings of every variant; the mask is Fasking at 0.9 where none is named."""


def prepare_pictures(table: Path, work: Path) -> tuple[Path, Path]:
    """Returns store and labels of pictures, as videos that stand still."""
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"picture", "label"} <= set(rows[0]):
        raise UsageError(f"{table} must have rows with columns picture and label.")
    folder = work / "pictures"
    folder.mkdir(exist_ok=True)
    labels = []
    for index, row in enumerate(rows):
        # The label is in the table alone: names of videos are stored.
        video = folder / f"picture_{index:06d}.mp4"
        if not video.exists():
            write_video(video, still(table.parent / row["picture"]), fps=25)
        labels.append({"video": video.name, "label": row["label"]})
    tables = work / "pictures.csv"
    write_csv(tables, labels)
    store = work / "pictures_store"
    run_recipe("preprocess_faces.py", folder, store)
    return store, tables


def still(path: Path) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """Returns a picture as equal frames, uint8 (H, W, 3) of even height and width."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    height, width = (side // 2 * 2 for side in pixels.shape[:2])
    return [pixels[:height, :width]] * NUM_FRAMES


def grid_of(
    store: Path,
    variants: Sequence[str],
    steps: int,
    seeds: int,
    pictures: tuple[Path, Path] | None = None,
) -> dict[str, Any]:
    """Returns the content of the grid file of `ablate.py`."""
    probes: dict[str, dict[str, Any]] = {
        "demo": {"demo_clips": DEMO_CLIPS},
        "demo_grid": {"demo_clips": DEMO_CLIPS, "protocol": "grid"},
    }
    if pictures is not None:
        place, labels = (str(path.resolve()) for path in pictures)
        for protocol in ("exact", "grid", "knn"):
            probes[f"pictures_{protocol}"] = {
                "labels": labels,
                "store": place,
                "column": ["label"],
                "protocol": protocol,
            }
    return {
        "pretrain": {
            "model": "marlin_vit_tiny",
            "store": str(store.resolve()),
            "image_size": 112,
            "batch_size": 8,
            # At the rate of tiny's settings, features collapse within 100 steps.
            "base_learning_rate": 2e-4,
            "min_learning_rate": 1e-6,
            "warmup_steps": steps // 10,
            "schedule_steps": steps,
            "validate_every": steps,
            "log_every": 20,
            "meters_every": max(1, steps // 4),
        },
        "variants": {name: VARIANTS[name] for name in variants},
        "seeds": list(range(seeds)),
        "probes": probes,
        "baselines": ["random", "pixels"],
    }


def main() -> None:
    """Runs the study and copies its tables and plots to the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of face videos")
    parser.add_argument("--work", type=Path, required=True, help="folder to work in")
    parser.add_argument("--pictures", type=Path, help="table of labelled pictures")
    parser.add_argument(
        "--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS)
    )
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--name", default="objective_study", help="name of the result")
    options = parser.parse_args()
    work = options.work
    work.mkdir(parents=True, exist_ok=True)
    store = work / "store"
    run_recipe("preprocess_faces.py", f"{options.data}/*videos/*", store)
    pictures = prepare_pictures(options.pictures, work) if options.pictures else None
    content = grid_of(store, options.variants, options.steps, options.seeds, pictures)
    run_ablation(
        options.name,
        content,
        work / f"ablation_{options.steps}",
        options.results,
        {"steps": options.steps, "demo_clips": DEMO_CLIPS},
        hidden=(work, options.data),
    )


if __name__ == "__main__":
    main()
