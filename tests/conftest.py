"""Fixtures that many tests share."""

from pathlib import Path

import pytest
import torch

_ROOT = Path(__file__).resolve().parents[1]
_REAL_DATA = _ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Small tensors: threads cost more than they bring, and results stay the same."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    """Whatever a failing test writes to a relative path stays out of the checkout."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real face clips and pictures beside the checkout."""
    if not _REAL_DATA.is_dir():
        pytest.skip("the real face clips are not beside this checkout")
    return _REAL_DATA


@pytest.fixture(scope="session")
def real_videos(real_data: Path) -> Path:
    return real_data / "videos"
