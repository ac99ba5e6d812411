import pytest

from lightly_marlin.training.run_folder import RunFolder
from lightly_marlin.utils.errors import UsageError


def test_run_folder__new_then_occupied(tmp_path):
    folder = RunFolder(tmp_path / "run")
    assert folder.open(resume=False) is None
    folder.config.touch()
    with pytest.raises(
        UsageError, match=r"holds a run already\. Continue it with --res"
    ):
        folder.open(resume=False)
    assert folder.open(resume=True) is None
    folder.checkpoint.touch()
    assert folder.open(resume=True) == folder.checkpoint


def test_run_folder__cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        RunFolder(tmp_path / "file" / "run").open(resume=False)
