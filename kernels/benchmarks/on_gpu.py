#!/usr/bin/env python3
"""Tests the kernels on the GPU at hand, then measures them; nothing is installed.

    python3 kernels/benchmarks/on_gpu.py
    python3 kernels/benchmarks/on_gpu.py --batch-sizes 16 64  # for the benchmark
    python3 kernels/benchmarks/on_gpu.py --tests-only
    python3 kernels/benchmarks/on_gpu.py --benchmarks-only --tune --batch-sizes 64

Needs PyTorch, Triton and pytest in the Python that runs it; tests run side by side
where pytest-xdist is there. The package is put together in build/on_gpu as an
installation would put it, from this clone. Benchmarks run only if the tests pass.
Kernels run in strict mode: none is replaced by its plain version.

Exit status: 2 if there is no GPU (`--device cpu` tries the program out without one),
that of the tests if they fail, else that of the benchmarks.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STAGE = ROOT / "build" / "on_gpu"
RESULTS = ROOT / "kernels" / "benchmarks" / "results"
# Many small tests, most of their time spent in the compiler.
SIDE_BY_SIDE = ("test_kernel_values.py", "test_kernel_gradients.py")
# These fill the GPU's memory, or measure it. That all kernels compile needs no GPU.
ALONE = ("test_kernel_offsets.py", "test_kernels_on_gpu.py")
WORKERS = 8


def has_gpu() -> bool:
    """Returns whether PyTorch sees a GPU, asked in a process of its own."""
    code = "import sys, torch; sys.exit(not torch.cuda.is_available())"
    return subprocess.call([sys.executable, "-c", code]) == 0


def stage() -> None:
    """Puts the package together as an installation does."""
    shutil.rmtree(STAGE, ignore_errors=True)
    # A link to the kernels may stand where an installation has them.
    ignored = shutil.ignore_patterns("kernels", "__pycache__")
    shutil.copytree(ROOT / "lightly_marlin", STAGE / "lightly_marlin", ignore=ignored)
    shutil.copytree(ROOT / "kernels", STAGE / "lightly_marlin" / "kernels")


def run_tests(environment: dict[str, str]) -> int:
    """Runs the tests of the kernels; returns the first exit status that is not 0."""
    config = ("-c", str(ROOT / "pyproject.toml"), "-p", "no:cacheprovider")
    pytest = [sys.executable, "-m", "pytest", *config, "-m", "", "-rs", "--maxfail=20"]
    xdist = importlib.util.find_spec("xdist") is not None
    for files, options in (
        (SIDE_BY_SIDE, ("-n", str(WORKERS)) if xdist else ()),
        (ALONE, ()),
    ):
        tests = [str(ROOT / "tests" / "kernels" / name) for name in files]
        # Not in the clone itself, where the package lacks its kernels.
        command = [*pytest, *tests, *options]
        status = subprocess.call(command, cwd=STAGE, env=environment)
        if status:
            return status
    return 0


def main(arguments: list[str]) -> int:
    """Runs tests, then benchmarks; returns the exit status."""
    parser = argparse.ArgumentParser(
        description="Test the kernels on the GPU at hand, then measure them.",
        epilog="Other options are those of lightly_marlin.kernels.benchmarks.",
        allow_abbrev=False,
    )
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--tests-only", action="store_true", help="measure nothing")
    only.add_argument("--benchmarks-only", action="store_true", help="test nothing")
    options, others = parser.parse_known_args(arguments)
    if "cpu" not in others and not has_gpu():
        print("error: PyTorch sees no GPU here", file=sys.stderr)
        return 2
    stage()
    path = os.pathsep.join(filter(None, (str(STAGE), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path}
    environment["LIGHTLY_MARLIN_KERNELS"] = "strict"
    environment.pop("TRITON_INTERPRET", None)
    status = 0 if options.benchmarks_only else run_tests(environment)
    if status:
        print("error: the tests failed, so nothing is measured", file=sys.stderr)
    if status or options.tests_only:
        return status
    module = ("-m", "lightly_marlin.kernels.benchmarks", "--out", str(RESULTS))
    command = [sys.executable, *module, *others]
    return subprocess.call(command, cwd=STAGE, env=environment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
