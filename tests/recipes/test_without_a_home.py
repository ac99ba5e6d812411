"""Recipes for a user that is a mere number, as containers have: no name, no home."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

RECIPES = Path(__file__).parents[2] / "recipes"
# In a program of its own, because PyTorch, Matplotlib and the Hub ask when imported.
HOMELESS = """
import pwd, runpy, sys
def unknown(number): raise KeyError(f"getpwuid(): uid not found: {number}")
pwd.getpwuid = unknown
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def homeless(tmp_path):
    """Runs a recipe; returns its exit status and the lines of its errors."""
    names = ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME", "XDG_CACHE_HOME")
    variables = {n: v for n, v in os.environ.items() if n not in names}

    def run(recipe, *options):
        command = [sys.executable, "-c", HOMELESS, RECIPES / recipe, *options]
        done = subprocess.run(
            [str(part) for part in command],
            env={**variables, "TMPDIR": str(tmp_path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return done.returncode, done.stderr.splitlines()

    return run


def test_training_and_export(homeless, tiny_store, tmp_path):
    sizes = ("--model", "marlin_vit_tiny", "--max-steps", 1, "--batch-size", 1)
    status, errors = homeless(
        "pretrain_marlin.py", "--store", tiny_store, *sizes, "--workers", 1
    )
    assert status == 0, errors
    weights = ("--weights", "run/model", "--formats", "program")
    status, errors = homeless("export_model.py", "exported", *weights)
    assert status == 0, errors


@pytest.mark.parametrize("weights", ["~/run/model", "nobody/nothing"])
def test_weights_that_are_nowhere_are_one_line(homeless, tmp_path, weights):
    status, errors = homeless("export_model.py", "exported", "--weights", weights)
    assert status == 2
    assert f"error: There is no file or folder {weights}" in errors[-1]
