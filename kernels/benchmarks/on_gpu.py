#!/usr/bin/env python3
"""Tests the kernels on the GPU at hand, then measures them; nothing is installed.

    python3 kernels/benchmarks/on_gpu.py
    python3 kernels/benchmarks/on_gpu.py --batch-sizes 16 64  # for the benchmark

Needs PyTorch, Triton and pytest in the Python that runs it. The package is put together
in build/on_gpu as an installation would put it, from this clone. Benchmarks run only
if the tests pass.

Exit status: 2 if there is no GPU (`--device cpu` tries the program out without one),
that of the tests if they fail, else that of the benchmarks.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STAGE = ROOT / "build" / "on_gpu"
RESULTS = ROOT / "kernels" / "benchmarks" / "results"
TESTS = (
    "test_kernel_values.py",
    "test_kernel_gradients.py",
    "test_kernel_offsets.py",
    "test_kernels_compile.py",
    "test_kernels_on_gpu.py",
)


def has_gpu() -> bool:
    """Returns whether PyTorch sees a GPU, asked in a process of its own."""
    code = "import sys, torch; sys.exit(not torch.cuda.is_available())"
    return subprocess.call([sys.executable, "-c", code]) == 0


def stage() -> None:
    """Puts the package together as an installation does."""
    shutil.rmtree(STAGE, ignore_errors=True)
    shutil.copytree(ROOT / "lightly_marlin", STAGE / "lightly_marlin")
    shutil.copytree(ROOT / "kernels", STAGE / "lightly_marlin" / "kernels")


def main(arguments: list[str]) -> int:
    """Runs tests, then benchmarks; returns the exit status."""
    if "cpu" not in arguments and not has_gpu():
        print("error: PyTorch sees no GPU here", file=sys.stderr)
        return 2
    stage()
    path = os.pathsep.join(filter(None, (str(STAGE), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path}
    environment.pop("LIGHTLY_MARLIN_KERNELS", None)
    environment.pop("TRITON_INTERPRET", None)
    tests = [str(ROOT / "tests" / "kernels" / name) for name in TESTS]
    config = ("-c", str(ROOT / "pyproject.toml"), "-p", "no:cacheprovider")
    pytest = ("-m", "pytest", *config, *tests, "-m", "", "-rs", "--maxfail=20")
    # Not in the clone itself, where the package lacks its kernels.
    status = subprocess.call([sys.executable, *pytest], cwd=STAGE, env=environment)
    if status:
        print("error: the tests failed, so nothing is measured", file=sys.stderr)
        return status
    module = ("-m", "lightly_marlin.kernels.benchmarks", "--out", str(RESULTS))
    command = [sys.executable, *module, *arguments]
    return subprocess.call(command, cwd=STAGE, env=environment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
