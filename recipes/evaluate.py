"""Measures what a representation is worth, on labels of your own or a published task.

    python recipes/preprocess_faces.py my_videos store
    python recipes/evaluate.py my_labels.csv --store store --weights W --column mood
    python recipes/evaluate.py --task celebv_hq_action --root R --store S --weights W
    python recipes/evaluate.py            # the labels of the built-in demo clips

Features:
- LABELS is a CSV or Parquet file with a column `video` and columns of labels, and
  optionally `start`, `end` (seconds), `group` and `split`; or a folder per class.
  Binary, multilabel, multiclass or regression is told from the values, or by --kind.
- --store is the face store of the videos; --videos a folder of videos, whose faces are
  cropped on the way at full quality, as deepfakes need it.
- --weights is any checkpoint; without it, the model has random weights, the baseline of
  every pretraining. --model pixels evaluates downsampled pixels in its place, --model
  histograms hand-crafted histograms of oriented gradients (HOG).
- --protocol: `exact` (logistic or ridge regression), `linear` (a grid of heads trained
  with AdamW), `attentive` (one attention block over tokens), `grid` (exact, on
  principal components of the tokens of a frame), `knn`, or `released`, the recipe of
  MARLIN's released code. All choose on validation and read the test once.
- --fractions 1 10 100 trains on shares of the training groups, --seeds N repeats.
- Groups never cross splits. Items without a face stay in the denominator.
- Resumable: features are cached (--cache), finished results are kept.

OUT holds results.json (numbers with intervals, the constant predictor beside them, the
protocol, what was left out), predictions.parquet (every number can be recomputed from
it), per_label.csv and pictures; with several fractions or seeds a folder each, and
summary.json.

Exit status: 0 done; 2 bad arguments or input, with one line that says what to do.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lightly_marlin.evaluation.probes.protocols import PROTOCOLS, TOKEN_PROTOCOLS
from lightly_marlin.evaluation.table_arguments import (
    add_table_arguments,
    find_source,
    read_table,
    table_digest,
)
from lightly_marlin.features.options import PRECISIONS
from lightly_marlin.utils.arguments import RecipeParser, positive_integer
from lightly_marlin.utils.console import console, run_recipe
from lightly_marlin.utils.errors import UsageError

if TYPE_CHECKING:
    from lightly_marlin.evaluation import ItemFeatures, LabelTable, Result
    from lightly_marlin.features import WindowModel
    from lightly_marlin.store import FaceStore

DEMO_COLUMNS = ["talking", "smile", "brow", "nod"]
MODEL = "marlin_vit_base"
PIXELS, HISTOGRAMS = "pixels", "histograms"


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluates as the command line says.

    Args:
        arguments: Command line without the program; None for that of the process.

    Returns:
        The exit status.

    Raises:
        UsageError: If an option or the input cannot be used.
    """
    options = parse_arguments(arguments)
    table, source = read_inputs(options)
    check_groups(table)
    features = read_features(options, table, source)
    results = [
        (share, seed, evaluate_once(options, table, features, share, seed))
        for share in options.fractions
        for seed in range(options.seed, options.seed + options.seeds)
    ]
    from lightly_marlin.evaluation.results.report import show_result
    from lightly_marlin.evaluation.results.summary import write_summary

    if len(results) == 1:
        show_result(results[0][2])
    else:
        write_summary(options.out, results)
    console.print(f"The results are in {options.out}", markup=False, soft_wrap=True)
    return 0


def read_inputs(options: argparse.Namespace) -> tuple[LabelTable, FaceStore | Path]:
    """Returns the labelled items, and their store or folder of videos."""
    if options.labels is None and options.task is None:
        return demo_inputs(options)
    source = find_source(options)
    return read_table(options), source


def demo_inputs(options: argparse.Namespace) -> tuple[LabelTable, FaceStore]:
    """Returns the labels of the demo clips and the store of these clips."""
    from lightly_marlin.demo import open_store, write_demo_labels

    if options.store or options.videos:
        raise UsageError("Name the labels of these videos: evaluate.py LABELS.")
    store = open_store(None, demo_clips=options.demo_clips)
    options.out.mkdir(parents=True, exist_ok=True)
    options.labels = options.out / "demo.csv"
    write_demo_labels(options.labels, num_clips=options.demo_clips)
    if options.column is None:
        options.column = DEMO_COLUMNS
    return read_table(options), store


def check_groups(table: LabelTable) -> None:
    """Warns of groups that the given splits divide."""
    shared = table.shared_groups() if table.splits else 0
    if shared:
        console.print(
            f"{shared} groups are in more than one of the given splits: the numbers "
            "flatter whatever recognises them. The result says so.",
            style="yellow",
        )


def read_features(
    options: argparse.Namespace, table: LabelTable, source: FaceStore | Path
) -> ItemFeatures:
    """Encodes the windows of all items; those of an earlier run are reused."""
    from lightly_marlin.evaluation.items.item_features import item_features

    return item_features(
        build_encoder(options),
        table,
        source,
        cache=options.cache or options.out / "features",
        precision=options.precision,
        tokens=options.protocol in TOKEN_PROTOCOLS,
        all_faces=options.all_faces,
        num_workers=options.workers,
    )


def build_encoder(
    options: argparse.Namespace,
) -> WindowModel:
    """Returns the encoder of the weights, a random one, or hand-made features."""
    import torch

    from lightly_marlin.evaluation.items.histogram_baseline import HistogramFeatures
    from lightly_marlin.evaluation.items.pixel_baseline import PixelFeatures
    from lightly_marlin.models import create_marlin_encoder, load_encoder
    from lightly_marlin.utils.device import choose_device

    device = choose_device(options.device)
    without_size = options.weights is not None or options.model == PIXELS
    if options.image_size is not None and without_size:
        raise UsageError(
            "--image-size is for random weights and histograms: drop it, or --weights "
            f"and --model {PIXELS}."
        )
    if options.model in (PIXELS, HISTOGRAMS) and options.weights is not None:
        raise UsageError(f"--model {options.model} has no weights: drop --weights.")
    if options.model == PIXELS:
        return PixelFeatures().to(device)
    if options.model == HISTOGRAMS:
        return HistogramFeatures(img_size=options.image_size or 224).to(device)
    if options.weights is not None:
        loaded: WindowModel = load_encoder(options.weights, options.model).to(device)
        return loaded
    console.print("No --weights: a model with random weights, the baseline.")
    torch.manual_seed(options.seed)
    encoder: WindowModel = (
        create_marlin_encoder(
            options.model or MODEL, img_size=options.image_size or 224
        )
        .eval()
        .to(device)
    )
    return encoder


def evaluate_once(
    options: argparse.Namespace,
    table: LabelTable,
    features: ItemFeatures,
    share: float,
    seed: int,
) -> Result:
    """Fits and tests one head; keeps the result of an earlier run that did the same.

    Args:
        options: The command line.
        table: Labelled items.
        features: Features of their windows.
        share: Percentage of the training groups to train on.
        seed: Seed of splits and head.
    """
    from lightly_marlin.evaluation.results.report import draw_result
    from lightly_marlin.evaluation.results.result import RESULTS_NAME, Result

    folder = options.out
    if options.seeds > 1 or len(options.fractions) > 1:
        folder = folder / f"fraction_{share:g}" / f"seed_{seed}"
    # A file of labels or weights may change while its name stays.
    contents = {"table": table_digest(table), "encoder": features.model["weights"]}
    command = command_of(options) | contents
    if (folder / RESULTS_NAME).exists():
        earlier = Result.load(folder)
        if earlier.protocol.get("command") == command:
            console.print(f"{folder} is finished already.", soft_wrap=True)
            return earlier
        raise UsageError(
            f"{folder} holds the result of another command, or of labels or weights "
            "that changed since. Choose another --out."
        )
    fraction = None if share == 100 else share / 100
    probe = PROTOCOLS[options.protocol]
    result = probe(features, table, seed, fraction=fraction)
    # So that another command does not replace the result.
    protocol = {**result.protocol, "command": command}
    result = dataclasses.replace(result, protocol=protocol)
    result.save(folder)
    draw_result(result, folder)
    return result


def command_of(options: argparse.Namespace) -> dict[str, object]:
    """Returns the options that the numbers depend on, as plain values."""
    apart = ("out", "cache", "device", "workers", "seeds", "fractions")
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in sorted(vars(options).items())
        if name not in apart
    }


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = RecipeParser(description="Measure what a representation is worth.")
    add_table_arguments(parser)
    add = parser.add_argument
    add(
        "--weights",
        metavar="W",
        help="checkpoint of any known layout, folder, or repository of the Hub "
        "(default: random weights)",
    )
    add(
        "--model",
        metavar="NAME",
        help=f"sizes of the model (default: those of the weights, or {MODEL}); "
        f"{PIXELS} for downsampled pixels, {HISTOGRAMS} for oriented gradients",
    )
    add(
        "--image-size",
        type=positive_integer,
        metavar="N",
        help="height and width of the clips for random weights and histograms, to "
        "compare with weights of that size (default: 224)",
    )
    add(
        "--protocol",
        choices=PROTOCOLS,
        default="exact",
        help="probe, or released for the recipe of the reference (default: exact)",
    )
    add(
        "--fractions",
        nargs="+",
        type=percentage,
        default=[100.0],
        metavar="F",
        help="percentages of the training groups to train on (default: 100)",
    )
    numbers = (
        ("--seeds", 1, "repetitions with seeds from --seed on"),
        ("--demo-clips", 24, "demo clips, without LABELS"),
    )
    for name, default, text in numbers:
        text = f"{text} (default: {default})"
        add(name, type=positive_integer, default=default, metavar="N", help=text)
    add("--seed", type=int, default=0, metavar="N", help="first seed (default: 0)")
    add(
        "--out",
        type=Path,
        default=Path("evaluation"),
        metavar="OUT",
        help="folder of the results (default: evaluation)",
    )
    add(
        "--cache",
        type=Path,
        metavar="DIR",
        help="folder of features, which several evaluations may share (default: "
        "OUT/features)",
    )
    add("--all-faces", action="store_true", help="average over all faces of an item")
    add(
        "--precision",
        choices=PRECISIONS,
        default="32",
        help="precision of the encoder (default: 32)",
    )
    add(
        "--workers",
        type=int,
        default=0,
        metavar="N",
        help="processes that read (default: 0, this process)",
    )
    add("--device", default="auto", help="such as cpu or cuda:1 (default: a GPU)")
    return parser.parse_args(arguments)


def percentage(text: str) -> float:
    """Returns a percentage; a `type` for `argparse` options."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 100:
        raise argparse.ArgumentTypeError(f"must be in (0, 100], got {text}")
    return value


if __name__ == "__main__":
    sys.exit(run_recipe(main, "evaluation"))
