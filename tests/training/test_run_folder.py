import pytest

from lightly_marlin.training.run_folder import MetricsCsv, RunFolder
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


def test_run_folder__others_than_the_leader_only_look(tmp_path):
    """What a leader writes before all have met is no run; a checkpoint is one."""
    folder = RunFolder(tmp_path / "run")
    assert folder.open(resume=False, leader=False) is None
    assert not folder.path.exists()
    folder.checkpoint.parent.mkdir(parents=True)
    folder.config.touch()
    assert folder.open(resume=False, leader=False) is None
    folder.checkpoint.touch()
    assert folder.open(resume=True, leader=False) == folder.checkpoint
    with pytest.raises(UsageError, match="holds a run already"):
        folder.open(resume=False, leader=False)


def test_run_folder__cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        RunFolder(tmp_path / "file" / "run").open(resume=False)


def test_metrics_csv__appends_and_truncates(tmp_path):
    table = MetricsCsv(tmp_path / "metrics.csv", ["step", "loss"])
    assert table.rows() == []
    table.truncate(0)
    for step in (10, 20, 30):
        table.append({"step": step, "loss": step / 2})
    table.truncate(20)
    table.append({"step": 30, "loss": 1.0})
    assert table.path.read_text().splitlines() == [
        "step,loss",
        "10,5.0",
        "20,10.0",
        "30,1.0",
    ]


def test_metrics_csv__drops_half_a_row(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("step,loss\n10,5.0\n20")
    table = MetricsCsv(path, ["step", "loss"])
    table.truncate(100)
    assert path.read_text().splitlines() == ["step,loss", "10,5.0"]
