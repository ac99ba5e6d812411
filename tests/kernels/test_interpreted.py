"""The kernels themselves, in Triton's interpreter, in a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="Triton is not installed")

FOLDER = Path(__file__).parent
# What the launchers are called with most, and what finds most mistakes per second.
FILES = (
    "test_kernel_values.py",
    "test_kernel_gradients.py",
    "test_kernel_offsets.py",
    "test_scatter_tokens.py",
    "test_scatter_tubelets.py",
    "test_sum_tokens.py",
    "test_op_calls.py",
)


def _run(*options, **variables):
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    environment.update(variables)
    # Or it would run the kernels on the GPU's tensors, copied to and fro.
    environment["CUDA_VISIBLE_DEVICES"] = ""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    return subprocess.run(
        command,
        cwd=FOLDER.parents[1],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_interpreted():
    files = (str(FOLDER / name) for name in FILES)
    # What opcheck asks of an op does not depend on which body it has.
    result = _run(*files, "-k", "not opcheck", LIGHTLY_MARLIN_KERNELS="strict")
    assert result.returncode == 0, result.stdout[-5000:]


@pytest.mark.slow
def test_interpreted__everything_else():
    """The tests of the ops and of the compiler, with the kernels under them."""
    # Programs and processes of their own: slow, or without tensors at all.
    others = (
        *("test_benchmarks.py", "test_benchmark_timing.py", "test_on_gpu_program.py"),
        *("test_kernels_import.py", Path(__file__).name),
    )
    ignored = (f"--ignore={FOLDER / name}" for name in (*FILES, *others))
    result = _run(str(FOLDER), *ignored)
    assert result.returncode == 0, result.stdout[-5000:]
