import pytest
import torch

from lightly_marlin.training import LoopLog, LoopOptions
from lightly_marlin.utils.errors import UsageError


def options(out, max_steps=12):
    return LoopOptions(max_steps, batch_size=2, learning_rate=0.1, out=out, seed=0)


def train(log, loader):
    seen = []
    for batch in log.steps(loader):
        seen.append(batch)
        log.loss(torch.tensor(float(len(seen)), requires_grad=True))
    return seen


def test_loop_log__rows_and_batches(tmp_path, capsys):
    """The first step, every fifth and the last; the loader begins again."""
    log = LoopLog(options(tmp_path / "new" / "run"), every=5)
    assert train(log, "abc") == list("abcabcabcabc")
    rows = log.csv.rows()
    assert [(row["step"], float(row["loss"])) for row in rows] == [
        ("1", 1.0),
        ("5", 5.0),
        ("10", 10.0),
        ("12", 12.0),
    ]
    assert all(float(row["clips_per_second"]) > 0 for row in rows)
    log.summarise("here.pt")
    text = capsys.readouterr().out
    assert "step 12/12, loss 12.00000" in text
    assert "here.pt" in text


def test_loop_log__begins_metrics_anew(tmp_path):
    for steps in (3, 2):
        log = LoopLog(options(tmp_path, steps), every=1)
        train(log, "a")
    assert [row["step"] for row in log.csv.rows()] == ["1", "2"]


def test_loop_log__errors(tmp_path):
    with pytest.raises(UsageError, match="nothing to train on"):
        train(LoopLog(options(tmp_path)), [])
    with pytest.raises(RuntimeError, match="gave no loss"):
        list(LoopLog(options(tmp_path)).steps("a"))
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot be written.*--out"):
        LoopLog(options(tmp_path / "file" / "run"))
