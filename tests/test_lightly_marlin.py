"""Importing the package is light, and its parts are there on first use."""

import subprocess
import sys
from pathlib import Path

import pytest

import lightly_marlin

HEAVY = ("lightly", "kornia", "dlib", "timm", "av", "pytorch_lightning", "torch")


def test_import__is_light():
    code = "import sys, lightly_marlin; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    assert not set(HEAVY) & set(loaded)


def test_import__takes_no_time():
    """Of several, the fastest: what else runs on the machine is not ours to measure."""
    code = "import time; t = time.perf_counter(); import lightly_marlin; "
    code += "print(time.perf_counter() - t)"
    seconds = [
        float(subprocess.check_output([sys.executable, "-c", code], text=True))
        for _ in range(5)
    ]
    assert min(seconds) < 0.1


def test_features__load_no_model_in_processes_that_only_read_videos():
    code = "import sys, lightly_marlin.features.video_stream; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    assert not {"lightly", "timm", "lightly_marlin.models"} & set(loaded)


def test_subpackages__resolve():
    assert lightly_marlin.regions.NUM_LABELS == 11
    assert "transforms" in dir(lightly_marlin)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lightly_marlin.nothing


def test_subpackages__are_all_there():
    folder = Path(lightly_marlin.__file__).parent
    rooms = {path.parent.name for path in folder.glob("*/__init__.py")}
    assert rooms | {"kernels", "regions"} == set(lightly_marlin.__all__)
