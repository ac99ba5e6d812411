"""Measures the kernels on the GPU at hand.

    python -m lightly_marlin.kernels.benchmarks
    python -m lightly_marlin.kernels.benchmarks --batch-sizes 64 --without-compile
    python -m lightly_marlin.kernels.benchmarks --batch-sizes 64 --tune

Every way of computing an operation is first compared with the reference in float64;
nothing is reported if one differs, or if a kernel would be replaced by its plain
version. Prints a table and writes results/kernels-<machine>-<device>.json and .png.
Where it is stopped, partial-<the same>.json has what was measured until then.
`--tune` measures our kernels with several sizes of tiles instead, and writes
results/tiles-<machine>-<device>.json.

`--device cpu` runs the whole program at tiny sizes without kernels, as a test of it.

Exit status: 0 done, 1 a wrong result, 2 bad arguments or no GPU.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from lightly_marlin.kernels.benchmarks.chart import draw_chart
from lightly_marlin.kernels.benchmarks.machine import cpu_name, device_name
from lightly_marlin.kernels.benchmarks.report import print_report, print_tiles
from lightly_marlin.kernels.benchmarks.suite import WrongResultError, run_suite
from lightly_marlin.kernels.benchmarks.tune import tune_tiles
from lightly_marlin.kernels.benchmarks.workload import PRETRAINING, TINY

RESULTS = Path(__file__).parent / "results"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m lightly_marlin.kernels.benchmarks",
        description="Measure the kernels on the GPU at hand.",
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument(
        "--batch-sizes", type=int, nargs="+", help="default: 16 64 256, on a CPU 1 2"
    )
    parser.add_argument(
        "--repeats", type=int, help="timed calls; default: 50, on a CPU 3"
    )
    parser.add_argument(
        "--without-compile", action="store_true", help="leave torch.compile out"
    )
    parser.add_argument(
        "--tune", action="store_true", help="measure several sizes of tiles instead"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of results")
    options = parser.parse_args(arguments)
    on_gpu = options.device == "cuda"
    options.batch_sizes = options.batch_sizes or ([16, 64, 256] if on_gpu else [1, 2])
    options.repeats = options.repeats or (50 if on_gpu else 3)
    if min(options.batch_sizes) < 1 or options.repeats < 2:
        parser.error("--batch-sizes must be >= 1 and --repeats >= 2")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints and writes; returns the exit status."""
    options = parse(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        print(
            "error: no CUDA device was found; --device cpu tries the program out",
            file=sys.stderr,
        )
        return 2
    partial = options.out / f"partial-{_stem(options)}.json"
    arguments_of_both: dict[str, Any] = {
        "workload": PRETRAINING if options.device == "cuda" else TINY,
        "batch_sizes": sorted(options.batch_sizes),
        "device": torch.device(options.device),
        "repeats": options.repeats,
        "tell": _tell,
        "save": lambda result: _write(result, partial),
    }
    try:
        if options.tune:
            result = tune_tiles(**arguments_of_both)
        else:
            with_compile = not options.without_compile
            result = run_suite(**arguments_of_both, with_compile=with_compile)
    except WrongResultError as error:
        _tell("")
        partial.unlink(missing_ok=True)
        print(f"error: nothing is reported: {error}", file=sys.stderr)
        return 1
    _tell("")
    path = options.out / f"{_stem(options)}.json"
    _write(result, path)
    partial.unlink(missing_ok=True)
    if options.tune:
        print_tiles(result)
        print(f"written to {path}")
        return 0
    print_report(result)
    missing = draw_chart(result, path.with_suffix(".png"))
    print(f"written to {path}" + (f"; {missing}" if missing else " and .png"))
    return 0


def _stem(options: argparse.Namespace) -> str:
    """Returns the name of the result's file, without its ending."""
    suite = "tiles" if options.tune else "kernels"
    return f"{suite}-{cpu_name()}-{device_name(torch.device(options.device))}"


def _write(result: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    beside.replace(path)


def _tell(text: str) -> None:
    """Shows what is being done, on a line of its own that the next one replaces."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
