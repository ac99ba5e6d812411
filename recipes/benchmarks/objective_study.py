"""Study of the objectives on real clips: what each teaches in equal steps or time.

    python recipes/benchmarks/objective_study.py DATA --work study
    python recipes/benchmarks/objective_study.py DATA --work study --steps 2000
    python recipes/benchmarks/objective_study.py DATA --work study --minutes 8
    python recipes/benchmarks/objective_study.py DATA --work study --variants latent

DATA is a folder as `faces.py` needs it. Tiny models are pretrained on its `videos/` and
`more_videos/` at 112 pixels, with every variant and three seeds, through
`recipes/ablate.py`, and probed on

- the labels of 96 demo clips (talking, smile, brow, nod), by the exact and the grid
  probe;
- sets of labelled face pictures, if there are any. `--pictures` names tables with
  columns `picture` (a path from the table on) and `label`; each picture becomes a video
  of 16 equal frames in WORK, and nothing of it gets into the result. A probe is named
  after the table and one of `--protocols`.

With `--minutes`, a few steps of each variant are timed first, and each gets the steps
that take as long. Random initialisation, pixels, hand-crafted histograms of gradients
and the constant predictor are rows of the table. `--work` keeps everything; the same
command goes on where it was killed, with more variants or seeds too, and another number
of steps or minutes has a folder of its own.

Fewer variants, seeds or probes than before need another folder.

Writes results/NAME-<machine>.json, by default NAME is objective_study, and a picture
for each probe.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from ablation_run import run_ablation
from PIL import Image
from running import run_recipe

from lightly_marlin.evaluation import PROTOCOLS as ALL_PROTOCOLS
from lightly_marlin.evaluation.results.table_files import write_csv
from lightly_marlin.training.run_folder import RunFolder
from lightly_marlin.utils.arguments import positive_integer, positive_number
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.files import write_json
from lightly_marlin.video import write_video

RESULTS = Path(__file__).parent / "results"
DEMO_CLIPS = 96
NUM_FRAMES = 16
PROTOCOLS = ("exact", "grid", "knn")

_AUGMENTED = {"flip": 0.5, "crop_scale": 0.5, "color": 0.3}
_HISTOGRAMS = {
    "objectives": ["histograms=0.5", "visible_histograms=1"],
    # Half of 4 clips are as many visible tokens as a quarter of 8, and faster to read.
    "mask_ratio": 0.5,
    "batch_size": 4,
    "base_learning_rate": 1e-3,
    "min_learning_rate": 1e-5,
    **_AUGMENTED,
}
# So few pictures are tested in five folds, all of them; more in one split, a tenth.
_PICTURES = 999
# Steps to time a variant, half of which warm up.
_TIMED_STEPS = 20

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
    "histograms": _HISTOGRAMS,
    "histograms_tube": {**_HISTOGRAMS, "mask": "tube"},
    "histograms_random": {**_HISTOGRAMS, "mask": "random"},
    "histograms_mixed": {**_HISTOGRAMS, "mask": "fasking+tube"},
    # Fasking that hides background and skin before eyes, nose and mouth.
    "histograms_face_last": {**_HISTOGRAMS, "mask_order": "components_visible_first"},
    "histograms_crfrp": {**_HISTOGRAMS, "mask": "crfrp"},
    "histograms_90": {**_HISTOGRAMS, "mask_ratio": 0.9, "batch_size": 16},
    "histograms_plain": {**_HISTOGRAMS, "flip": 0.0, "crop_scale": 1.0, "color": 0.0},
    "histograms_masked": {**_HISTOGRAMS, "objectives": ["histograms=1"]},
    "histograms_visible": {**_HISTOGRAMS, "objectives": ["visible_histograms=1"]},
    # The same mask, augmentation and rate, with MARLIN's target.
    "histograms_to_pixels": {**_HISTOGRAMS, "objectives": ["pixels=1"]},
}
"""Settings of every variant; the mask is Fasking at 0.9 where none is named."""


def prepare_pictures(table: Path, work: Path) -> tuple[Path, Path]:
    """Returns store and labels of pictures, as videos that stand still.

    Both are named after the table, in a folder of their own.
    """
    work = work / "pictures" / table.stem
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"picture", "label"} <= set(rows[0]):
        raise UsageError(f"{table} must have rows with columns picture and label.")
    folder = work / "videos"
    folder.mkdir(parents=True, exist_ok=True)
    labels = []
    for row in rows:
        picture = table.parent / row["picture"]
        # The label is in the table alone: names of videos are stored.
        content = row["picture"].encode() + picture.read_bytes()
        digest = hashlib.blake2b(content, digest_size=8).hexdigest()
        video = folder / f"picture_{digest}.mp4"
        if not video.exists():
            write_video(video, still(picture), fps=25)
        labels.append({"video": video.name, "label": row["label"]})
    names = work / f"{table.stem}.csv"
    write_csv(names, labels)
    store = work / "store"
    run_recipe("preprocess_faces.py", folder, store)
    return store, names


def check_names(tables: Sequence[Path]) -> None:
    """Checks that tables have names of their own, by which probes are called.

    Raises:
        UsageError: If two have the same, or one that of the demo's clips.
    """
    names = ["demo", *(table.stem for table in tables)]
    for table in tables:
        if names.count(table.stem) > 1:
            raise UsageError(f"Another probe has the name of {table}: rename it.")


def still(path: Path) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """Returns a picture as equal frames, uint8 (H, W, 3) of even height and width."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    height, width = (side // 2 * 2 for side in pixels.shape[:2])
    return [pixels[:height, :width]] * NUM_FRAMES


def shared_settings(store: Path) -> dict[str, Any]:
    """Returns the settings of every variant that does not say otherwise."""
    return {
        "model": "marlin_vit_tiny",
        "store": str(store.resolve()),
        "image_size": 112,
        "batch_size": 8,
        # At the rate of tiny's settings, features of teachers collapse in 100 steps.
        "base_learning_rate": 2e-4,
        "min_learning_rate": 1e-6,
        "precision": "auto",
        "log_every": 20,
    }


def length_of(steps: int) -> dict[str, int]:
    """Returns the settings of a schedule."""
    return {
        "warmup_steps": steps // 10,
        "schedule_steps": steps,
        "validate_every": steps,
        "meters_every": max(1, steps // 4),
    }


def steps_in(minutes: float, variants: Sequence[str], work: Path) -> dict[str, int]:
    """Returns the steps of each variant that take some minutes, measured once."""
    record = work / "steps_per_minute.json"
    rates = json.loads(record.read_text()) if record.exists() else {}
    for name in variants:
        # A variant that has changed takes another time.
        settings = json.loads(json.dumps(VARIANTS[name]))
        if rates.get(name, {}).get("settings") != settings:
            rate = steps_per_minute(name, work)
            rates[name] = {"settings": settings, "rate": rate}
            write_json(record, rates)
    return {name: max(1, round(minutes * rates[name]["rate"])) for name in variants}


def steps_per_minute(variant: str, work: Path) -> float:
    """Trains a variant for a moment; returns its steps per minute."""
    out = work / "timed" / variant
    shutil.rmtree(out, ignore_errors=True)
    settings = {
        **shared_settings(work / "store"),
        **VARIANTS[variant],
        "max_steps": _TIMED_STEPS,
        "log_every": _TIMED_STEPS // 2,
        "logger": "none",
    }
    out.parent.mkdir(exist_ok=True)
    config = out.with_suffix(".yaml")
    config.write_text(yaml.safe_dump(settings))
    run_recipe("pretrain_marlin.py", "--config", config, "--out", out)
    with RunFolder(out).metrics.open(newline="") as file:
        last = list(csv.DictReader(file))[-1]
    return 60 * float(last["clips_per_second"]) / int(settings["batch_size"])


def grid_of(
    store: Path,
    steps: Mapping[str, int],
    seeds: int,
    pictures: Sequence[tuple[Path, Path]] = (),
    protocols: Sequence[str] = PROTOCOLS,
) -> dict[str, Any]:
    """Returns the content of the grid file of `ablate.py`.

    Args:
        store: Store of the clips to train on.
        steps: Steps by variant.
        seeds: Number of seeds.
        pictures: Store and labels of each set of pictures.
        protocols: Protocols of their probes.
    """
    probes: dict[str, dict[str, Any]] = {
        "demo": {"demo_clips": DEMO_CLIPS},
        "demo_grid": {"demo_clips": DEMO_CLIPS, "protocol": "grid"},
    }
    for place, labels in pictures:
        for protocol in protocols:
            probes[f"{labels.stem}_{protocol}"] = {
                "labels": str(labels.resolve()),
                "store": str(place.resolve()),
                "column": ["label"],
                "protocol": protocol,
                "limit": _PICTURES,
            }
    return {
        "pretrain": shared_settings(store),
        "variants": {
            name: {**length_of(count), **VARIANTS[name]}
            for name, count in steps.items()
        },
        "seeds": list(range(seeds)),
        "probes": probes,
        "baselines": ["random", "pixels", "histograms"],
    }


def main() -> None:
    """Runs the study and copies its tables and plots to the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of face videos")
    parser.add_argument("--work", type=Path, required=True, help="folder to work in")
    parser.add_argument(
        "--pictures",
        type=Path,
        nargs="+",
        default=[],
        metavar="TABLE",
        help="tables of labelled pictures",
    )
    parser.add_argument(
        "--protocols",
        nargs="+",
        choices=ALL_PROTOCOLS,
        default=list(PROTOCOLS),
        metavar="PROTOCOL",
        help=f"probes of the pictures, of {', '.join(ALL_PROTOCOLS)}",
    )
    parser.add_argument(
        "--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS)
    )
    parser.add_argument("--steps", type=positive_integer, default=200)
    parser.add_argument(
        "--minutes", type=positive_number, help="equal time in place of --steps"
    )
    parser.add_argument("--seeds", type=positive_integer, default=3)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--name", default="objective_study", help="name of the result")
    options = parser.parse_args()
    check_names(options.pictures)
    work = options.work
    work.mkdir(parents=True, exist_ok=True)
    store = work / "store"
    run_recipe("preprocess_faces.py", f"{options.data}/*videos/*", store)
    pictures = [prepare_pictures(table, work) for table in options.pictures]
    if options.minutes is None:
        steps = dict.fromkeys(options.variants, options.steps)
        length = {"steps": options.steps}
        out = work / f"ablation_{options.steps}"
    else:
        steps = steps_in(options.minutes, options.variants, work)
        length = {"minutes": options.minutes, "steps_by_variant": steps}
        out = work / f"ablation_{options.minutes:g}_minutes"
    run_ablation(
        options.name,
        grid_of(store, steps, options.seeds, pictures, options.protocols),
        out,
        options.results,
        {**length, "demo_clips": DEMO_CLIPS},
        hidden=(work, options.data),
    )


if __name__ == "__main__":
    main()
