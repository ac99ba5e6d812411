"""What the tests of kernels share."""

import sys
from pathlib import Path

import pytest
import torch

# Tests are imported by path, so their folder is not on the path by itself.
sys.path.insert(0, str(Path(__file__).parent))

from lightly_marlin.kernels import dispatch


@pytest.fixture(scope="session")
def device():
    """The GPU where there is one; else the CPU, in Triton's interpreter if it is on."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture(autouse=True)
def _same_numbers_in_every_run():
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _no_kernel_is_replaced(monkeypatch):
    """On a GPU, a test of the plain version is no test of the kernels."""
    if torch.cuda.is_available():
        monkeypatch.setenv(dispatch.KERNELS_VARIABLE, "strict")


@pytest.fixture(autouse=True)
def _no_kernel_fails_quietly():
    """A kernel that fails is replaced by the plain version, which would pass."""
    yield
    broken = dict(dispatch._broken)
    dispatch._broken.clear()
    assert not broken


@pytest.fixture
def poisoned():
    """Memory that a kernel forgets to write is not zero by luck: it is NaN."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    assert torch.utils.deterministic.fill_uninitialized_memory
    yield
    torch.use_deterministic_algorithms(before)
