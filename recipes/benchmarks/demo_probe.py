"""Probe of the demo's model: what minutes of pretraining teach about the demo's faces.

    python3 run.py demo --out run_demo
    python recipes/benchmarks/demo_probe.py run_demo/model --work probes

Weights, random initialisation and pixels are probed on the exact labels of the demo
clips (talking, smile, brow, nod), by the exact and the grid probe, in folds that no
clip crosses. The demo trained on clips of the same portrait, without labels; other
weights may have seen other faces.
`--work` keeps everything; the same command goes on where it was killed.

Writes results/NAME-<machine>.json, by default NAME is demo_probe: accuracy per label
with its interval, beside that of the constant predictor, and the paired difference to
random initialisation.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from environment import describe_machine, machine_name
from pretrained import about_weights
from rich.table import Table
from running import run_recipe
from torch import Tensor

from lightly_marlin.evaluation import Result
from lightly_marlin.evaluation.metrics.intervals import (
    grouped_bootstrap,
    paired_difference,
)
from lightly_marlin.utils.arguments import positive_integer
from lightly_marlin.utils.console import console
from lightly_marlin.utils.files import write_json

RESULTS = Path(__file__).parent / "results"
PROTOCOLS = ("exact", "grid")
OVERALL = "accuracy/mean"
LEVEL = 0.5


def accuracies(names: Sequence[str], scores: Tensor, truth: Tensor) -> dict[str, float]:
    """Returns the accuracy of every label at a probability of one half."""
    right = ((scores >= LEVEL) == (truth >= LEVEL)).double().mean(dim=0)
    return dict(zip(names, right.tolist(), strict=True))


def read_numbers(folder: Path) -> dict[str, Any]:
    """Returns the accuracies of a result, with intervals and the constant's."""
    result = Result.load(folder)
    tested, names = result.predictions, result.target.names

    def metrics(scores: Tensor, truth: Tensor) -> dict[str, float]:
        return accuracies(names, scores, truth)

    values, constant = (
        {**metrics(scores, tested.truth), OVERALL: numbers[OVERALL]}
        for scores, numbers in (
            (tested.scores, result.metrics),
            (tested.constant, result.constant),
        )
    )
    intervals = {
        **grouped_bootstrap(tested, metrics),
        OVERALL: result.interval[OVERALL],
    }
    return {
        name: {
            "value": value,
            "interval": finite(intervals[name]),
            "constant": constant[name],
        }
        for name, value in values.items()
    }


def finite(ends: Sequence[float]) -> list[float | None]:
    """Returns the ends of an interval; None where there is none."""
    return [end if math.isfinite(end) else None for end in ends]


def difference(folder: Path, baseline: Path) -> dict[str, Any]:
    """Returns the difference of the mean accuracies of two results, paired by item."""
    found = paired_difference(Result.load(baseline), Result.load(folder))[OVERALL]
    return {"value": found.difference, "interval": finite((found.low, found.high))}


def main() -> None:
    """Probes, prints, and writes the result file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("weights", nargs="+", help="weights to probe, of one size")
    add("--work", type=Path, required=True, help="folder to work in")
    add("--clips", type=positive_integer, default=384, help="demo clips")
    add("--results", type=Path, default=RESULTS)
    add("--name", default="demo_probe", help="name of the result")
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)

    rows: dict[str, dict[str, Any]] = {}
    about: dict[str, Any] = {}
    for protocol in PROTOCOLS:
        models = {
            f"weights {number}": ["--weights", path]
            for number, path in enumerate(options.weights)
        }
        folders = {}
        for name in (*models, "random", "pixels"):
            if name in models:
                model = models[name]
            elif name == "pixels":
                # Pixels have no grid of tokens.
                if protocol == "grid":
                    continue
                model = ["--model", "pixels"]
            else:
                size = str(about["img_size"])
                model = ["--model", about["name"], "--image-size", size]
            out = options.work / f"{protocol}_{name.replace(' ', '_')}"
            folders[name] = out
            clips = ("--demo-clips", options.clips)
            run_recipe(
                "evaluate.py", *clips, *model, "--protocol", protocol, "--out", out
            )
            about = about or json.loads((out / "results.json").read_text())["model"]
            rows.setdefault(name, {})[protocol] = read_numbers(out)
        for name in models:
            against = difference(folders[name], folders["random"])
            rows[name][protocol]["over random"] = against
    result = {
        "suite": options.name,
        "machine": describe_machine(),
        "clips": options.clips,
        "model": {key: about[key] for key in ("name", "img_size")},
        "weights": [about_weights(path, about) for path in options.weights],
        "rows": rows,
    }
    path = options.results / f"{options.name}-{machine_name()}.json"
    write_json(path, result)
    console.print(make_table(result))
    console.print(f"The result is in {path}", markup=False, soft_wrap=True)


def make_table(result: dict[str, Any]) -> Table:
    """Returns the accuracies, for the terminal."""
    table = Table(title=f"Accuracy on labels of {result['clips']} demo clips")
    table.add_column("features, probe")
    first = next(iter(result["rows"].values()))[PROTOCOLS[0]]
    labels = [name for name in first if name != "over random"]
    for name in labels:
        table.add_column(name)
    constants = [f"{first[name]['constant']:.3f}" for name in labels]
    table.add_row("constant predictor", *constants)
    for name, probes in result["rows"].items():
        for protocol, numbers in probes.items():
            values = [f"{numbers[label]['value']:.3f}" for label in labels]
            table.add_row(f"{name}, {protocol}", *values)
    return table


if __name__ == "__main__":
    main()
