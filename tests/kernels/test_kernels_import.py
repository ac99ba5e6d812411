"""What importing needs: torch alone, and the right name."""

import subprocess
import sys
from pathlib import Path

import pytest

import lightly_marlin.kernels

REPOSITORY = Path(__file__).resolve().parents[2]

WITH_TORCH_ONLY = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        blocked = {"lightly", "timm", "kornia", "dlib", "triton", "torchvision", "av"}
        if name.split(".")[0] in blocked:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
import torch
from lightly_marlin import kernels
videos = torch.zeros(1, 3, 2, 16, 16, dtype=torch.uint8)
kernels.gather_tubelets(videos, torch.zeros(1, 1, dtype=torch.int64))
ours = sorted(n for n in sys.modules if n.startswith("lightly_marlin."))
assert all(n.startswith("lightly_marlin.kernels") for n in ours), ours
"""


def _run(*command):
    return subprocess.run(
        [sys.executable, *command],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )


def test_needs_torch_alone():
    result = _run("-c", WITH_TORCH_ONLY)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    "code", ["from kernels import gather_tokens", "import kernels; kernels.reference"]
)
def test_bare_name_has_nothing_but_advice(code):
    result = _run("-c", code)
    assert result.returncode == 1
    assert "ImportError" in result.stderr
    assert "import lightly_marlin.kernels instead" in result.stderr


def test_checkout_on_the_path_does_not_pass_for_another_package():
    """Where Python starts in the checkout, transformers asks for `kernels`."""
    code = (
        "from transformers.utils import is_kernels_available\n"
        "assert not is_kernels_available()\n"
        "from transformers import VideoMAEForPreTraining"
    )
    result = _run("-c", code)
    assert result.returncode == 0, result.stderr


def test_public_names():
    assert set(lightly_marlin.kernels.__all__) == {
        "assemble_decoder_tokens",
        "find_fallbacks",
        "gather_tokens",
        "gather_tubelets",
        "masked_motion_losses",
        "masked_reconstruction_loss",
        "reference",
    }
    reference = lightly_marlin.kernels.reference
    assert isinstance(lightly_marlin.kernels.find_fallbacks(), list)
    others = {"find_fallbacks", "reference"}
    for name in set(lightly_marlin.kernels.__all__) - others:
        assert callable(getattr(lightly_marlin.kernels, name))
        assert callable(getattr(reference, name))
