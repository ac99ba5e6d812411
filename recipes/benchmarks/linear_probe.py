"""Time and memory of the linear probe's grid of heads on a large set.

    python recipes/benchmarks/linear_probe.py
    python recipes/benchmarks/linear_probe.py --processor-time

30,000 training rows of 768 features with 40 labels, 15 heads; features are noise along
which the labels lie. Before anything is reported, the chosen head must beat chance.
"train" is fitting the grid and choosing on validation; "whole" is the probe with
testing, metrics and 1,000 draws of intervals. Peak memory is that of the process.

With `--processor-time`, one thread is timed by the processor's clock, for machines that
are busy: threads that wait for each other would count as busy.

Writes results/linear_probe-<machine>.json, or linear_probe_1_thread-<machine>.json, and
prints a table.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from environment import describe_machine, machine_name
from rich.table import Table

from lightly_marlin.evaluation import ItemFeatures, LabelTable, Target
from lightly_marlin.evaluation.labels.splits import Fold
from lightly_marlin.evaluation.probes.linear_probe import (
    DECAYS,
    RATES,
    fit_linear,
    linear_probe,
)
from lightly_marlin.evaluation.probes.probe_rows import ProbeRows
from lightly_marlin.utils.console import console
from lightly_marlin.utils.files import write_json

RESULTS = Path(__file__).parent / "results"
MIN_AUC = 0.6


class Problem(NamedTuple):
    """Synthetic items, one window each."""

    features: ItemFeatures
    table: LabelTable
    fold: Fold


def make_problem(rows: int, held_out: int, width: int, labels: int) -> Problem:
    """Returns items whose labels lie along directions of noise, from 1 to 50 %.

    Args:
        rows: Number of training items.
        held_out: Number of validation items, and of test items.
        width: Number of features.
        labels: Number of labels.
    """
    generator = torch.Generator().manual_seed(0)
    count = rows + 2 * held_out
    features = torch.randn(count, width, generator=generator)
    directions = torch.randn(width, labels, generator=generator) / width**0.5
    noise = torch.randn(count, labels, generator=generator)
    frequencies = torch.linspace(0.01, 0.5, labels, dtype=torch.float64)
    # The sum of signal and noise has the variance 2.
    thresholds = 2 * torch.erfinv(1 - 2 * frequencies).float()
    truth = (features @ directions + noise > thresholds).float()
    table = LabelTable.make(
        Target("multilabel", tuple(f"label {index}" for index in range(labels))),
        [f"{index:06d}" for index in range(count)],
        truth,
        name="synthetic",
    )
    statuses, reasons = ("ok",) * count, (None,) * count
    items = list(range(count))
    return Problem(
        ItemFeatures(features, torch.arange(count), statuses, reasons),
        table,
        Fold(items[:rows], items[rows:-held_out], items[-held_out:]),
    )


def measure(
    problem: Problem, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Returns seconds, peak memory and AUC.

    Args:
        problem: Items to train and test on.
        clock: Clock that returns seconds.

    Raises:
        SystemExit: If the probe ranks no better than chance.
    """
    features, table, fold = problem
    train, val = (
        ProbeRows.of(features, table, items) for items in (fold.train, fold.val)
    )
    started = clock()
    fitted = fit_linear(train, val, table.target, 0)
    trained = clock() - started
    del train, val
    started = clock()
    result = linear_probe(features, table, folds=[fold])
    whole = clock() - started
    auc = result.metrics["auc/mean"]
    if not auc > MIN_AUC:
        sys.exit(f"The probe's mean AUC is {auc:.3f}: not reporting.")
    return {
        "train_seconds": trained,
        "whole_seconds": whole,
        # Linux counts in KiB.
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "auc_mean": auc,
        "epochs": float(fitted.chosen["epochs"]),
        "steps": float(fitted.chosen["steps"]),
    }


def main() -> None:
    """Measures, prints, and writes the result file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=30_000)
    parser.add_argument("--held-out", type=int, default=3_500)
    parser.add_argument("--features", type=int, default=768)
    parser.add_argument("--labels", type=int, default=40)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--processor-time", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    if arguments.processor_time:
        arguments.threads = 1
    clock = time.process_time if arguments.processor_time else time.perf_counter
    torch.set_num_threads(arguments.threads)
    problem = make_problem(
        arguments.rows, arguments.held_out, arguments.features, arguments.labels
    )
    load = os.getloadavg()[0]
    row = measure(problem, clock)
    table = Table("train s", "whole s", "peak GiB", "epochs", "AUC")
    table.add_row(
        f"{row['train_seconds']:.1f}",
        f"{row['whole_seconds']:.1f}",
        f"{row['peak_gib']:.2f}",
        f"{row['epochs']:.0f}",
        f"{row['auc_mean']:.3f}",
    )
    console.print(table)
    suite = "linear_probe" + ("_1_thread" if arguments.processor_time else "")
    result = {
        "suite": suite,
        "clock": clock.__name__,
        "machine": describe_machine(),
        "threads": arguments.threads,
        "load_before_timing": load,
        "rows": arguments.rows,
        "held_out": arguments.held_out,
        "features": arguments.features,
        "labels": arguments.labels,
        "heads": len(RATES) * len(DECAYS),
        "results": row,
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / f"{suite}-{machine_name()}.json"
    write_json(path, result)
    console.print(f"written to {path}")


if __name__ == "__main__":
    main()
