"""Detection of synthetic fakes: probe and fine-tuning, and what JPEG quality costs.

    python recipes/benchmarks/fake_detection.py --work fakes --weights run/model
    python recipes/benchmarks/fake_detection.py --work fakes --weights W --videos VIDEOS

Makes a tree of self-blended fakes by `synthetic_fakes.py`, of the built-in demo clips
or of VIDEOS, and stores of its faces at JPEG qualities 65, 80 and 95. On each, the
exact probe reads the frozen features of the weights, of random initialisation and of
pixels, and the grid probe those of both models; on the store of the highest quality,
the weights and random initialisation are fine-tuned. Numbers are those of the test
videos (mean over windows). Intervals are over pairs of test videos and need five of
them, thus about 66 clips; with fewer they are null.

The demo clips all show one portrait, so its fakes are told apart without a new face in
the test. `--work` keeps everything; the same command goes on where it was killed. Other
videos, another number of clips, other weights or another image size need another one.

Writes results/fake_detection-<machine>.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from environment import describe_machine, machine_name
from pretrained import about_weights
from rich.table import Table
from running import run_recipe
from synthetic_fakes import demo_fakes, make_fakes

from lightly_marlin.models import create_marlin
from lightly_marlin.utils.arguments import positive_integer
from lightly_marlin.utils.console import console
from lightly_marlin.utils.files import write_json

RESULTS = Path(__file__).parent / "results"
QUALITIES = (95, 80, 65)
COMPRESSION = "c23"
METRICS = ("auc/flat", "balanced_accuracy", "eer")


def task(tree: Path, store: Path) -> list[str]:
    """Returns the options of the labels and their store."""
    return [
        *("--task", "faceforensics", "--root", str(tree), "--store", str(store)),
        *("--task-option", f"compression={COMPRESSION}"),
    ]


def check_work(options: argparse.Namespace) -> None:
    """Keeps what the fakes are made of.

    Raises:
        SystemExit: If the folder to work in has fakes of something else.
    """
    made_of = (
        f"{options.clips} demo clips"
        if options.videos is None
        else str(options.videos.resolve())
    )
    record = options.work / "fakes.json"
    if not record.exists():
        write_json(record, {"made_of": made_of})
    earlier = json.loads(record.read_text())["made_of"]
    if earlier != made_of:
        sys.exit(
            f"{options.work} has fakes of {earlier}, not of {made_of}. Choose another "
            "--work."
        )


def prepare(tree: Path, options: argparse.Namespace) -> dict[int, Path]:
    """Makes the tree and its stores; returns the stores by quality."""
    if not tree.exists():
        if options.videos is None:
            demo_fakes(tree, num_videos=options.clips)
        else:
            make_fakes(options.videos, tree)
    stores = {quality: options.work / f"store_{quality}" for quality in QUALITIES}
    for quality, store in stores.items():
        quality_option = ("--jpeg-quality", str(quality))
        run_recipe(
            "preprocess_faces.py",
            f"{tree}/*/*/{COMPRESSION}/videos/*.mp4",
            store,
            *quality_option,
        )
    return stores


def read_numbers(folder: Path) -> dict[str, Any]:
    """Returns a result's metrics, their intervals, the constant's, and the counts."""
    result = json.loads((folder / "results.json").read_text())
    test = result["data"]["per_split"]["test"]
    numbers: dict[str, Any] = {"videos": test["items"], "pairs": test["groups"]}
    return numbers | {
        name: {
            "value": result["metrics"][name],
            "interval": result["interval"].get(name),
            "constant": result["constant"].get(name),
        }
        for name in METRICS
        if name in result["metrics"]
    }


def fine_tune(
    name: str, weights: str | Path, labels: list[str], options: argparse.Namespace
) -> dict[str, Any]:
    """Fine-tunes weights; returns the metrics of the test videos."""
    out = options.work / f"tuned_{name}"
    tuned = tuning(options)
    settings = [f"--{key.replace('_', '-')}={value}" for key, value in tuned.items()]
    resume = ["--resume"] if out.exists() else []
    arguments = [*labels, "--weights", str(weights), "--out", str(out), *resume]
    run_recipe("finetune.py", *arguments, *settings, "--balanced", "--workers", "0")
    return read_numbers(out)


def tuning(options: argparse.Namespace) -> dict[str, Any]:
    """Returns the settings of the fine-tuning."""
    return {
        "epochs": options.epochs,
        "learning_rate": options.learning_rate,
        # So few epochs end long before clips are learned by heart.
        "dropout": 0.0,
        "precision": options.precision,
    }


def random_weights(work: Path, image_size: int) -> Path:
    """Writes weights that were never trained; returns their folder."""
    folder = work / f"random_{image_size}"
    torch.manual_seed(0)
    create_marlin("marlin_vit_tiny", img_size=image_size).save_pretrained(folder)
    return folder


def main() -> None:
    """Measures, prints, and writes the result file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--work", type=Path, required=True, help="folder to work in")
    add("--weights", required=True, help="weights to probe and to fine-tune")
    add("--videos", type=Path, help="face videos (default: the demo clips)")
    add(
        "--clips",
        type=positive_integer,
        default=40,
        help="demo clips, without --videos",
    )
    add("--epochs", type=int, default=20)
    add("--learning-rate", type=float, default=0.03, help="for 256 clips a step")
    add("--precision", default="32", help="of the fine-tuning: 32 or bf16-mixed")
    add("--image-size", default="112", help="size of the clips of the weights")
    add("--probe-only", action="store_true", help="do not fine-tune")
    add("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    options.results.mkdir(parents=True, exist_ok=True)

    check_work(options)
    tree = options.work / "tree"
    stores = prepare(tree, options)
    pretrained = ["--weights", options.weights]
    random = ["--model", "marlin_vit_tiny", "--image-size", options.image_size]
    models = {
        "pretrained": pretrained,
        "random": random,
        "pixels": ["--model", "pixels"],
        "pretrained, grid": [*pretrained, "--protocol", "grid"],
        "random, grid": [*random, "--protocol", "grid"],
    }
    probes: dict[str, dict[str, Any]] = {}
    for quality, store in stores.items():
        for name, model in models.items():
            out = options.work / f"probe_{name.replace(', ', '_')}_{quality}"
            run_recipe("evaluate.py", *task(tree, store), *model, "--out", out)
            probes.setdefault(name, {})[str(quality)] = read_numbers(out)
    probed = options.work / f"probe_pretrained_{QUALITIES[0]}" / "results.json"
    facts = json.loads(probed.read_text())["model"]
    settings: dict[str, Any] = {}
    fine_tuned = {}
    if not options.probe_only:
        settings["fine_tuning"] = tuning(options)
        labels = task(tree, stores[QUALITIES[0]])
        starts = {
            "pretrained": options.weights,
            "random": random_weights(options.work, int(options.image_size)),
        }
        for name, weights in starts.items():
            numbers = fine_tune(name, weights, labels, options)
            fine_tuned[name] = {str(QUALITIES[0]): numbers}
    result = {
        "suite": "fake_detection",
        "machine": describe_machine(),
        "clips": options.clips if options.videos is None else None,
        "compression": COMPRESSION,
        "weights": about_weights(options.weights, facts),
        "image_size": int(options.image_size),
        **settings,
        "probe": probes,
        "fine-tuned": fine_tuned,
    }
    path = options.results / f"fake_detection-{machine_name()}.json"
    write_json(path, result)
    console.print(make_table(result))
    console.print(f"The result is in {path}", markup=False, soft_wrap=True)


def make_table(result: dict[str, Any]) -> Table:
    """Returns the areas under the curve, for the terminal."""
    table = Table(title="AUC of test videos by JPEG quality")
    table.add_column("head")
    for quality in QUALITIES:
        table.add_column(str(quality))
    rows = {
        f"{head}, {name}": row
        for head in ("probe", "fine-tuned")
        for name, row in result[head].items()
    }
    for name, row in rows.items():
        values = [row.get(str(quality), {}).get(METRICS[0]) for quality in QUALITIES]
        table.add_row(name, *("" if v is None else f"{v['value']:.3f}" for v in values))
    return table


if __name__ == "__main__":
    main()
