from pathlib import Path

import pytest
import torch

from lightly_marlin.training import LoopLog, LoopOptions, parse_loop_options
from lightly_marlin.utils.errors import UsageError

DEFAULTS = {"max_steps": 7, "batch_size": 3, "learning_rate": 1e-3, "out": "run"}


def parse(*arguments, **changes):
    return parse_loop_options("Train.", arguments, **{**DEFAULTS, **changes})


def test_parse_loop_options__defaults_and_values():
    options = parse()
    assert (options.max_steps, options.batch_size, options.seed) == (7, 3, 0)
    assert (options.store, options.out, options.devices) == (None, Path("run"), 1)
    given = ("--store", "s", "--max-steps", "9", "--batch-size", "2", "--seed", "5")
    options = parse(*given, "--learning-rate", "0.5", "--out", "x")
    assert (options.store, options.max_steps, options.batch_size) == ("s", 9, 2)
    assert (options.learning_rate, options.out, options.seed) == (0.5, Path("x"), 5)
    assert parse("--devices", "2", devices=True).devices == 2


def test_parse_loop_options__help_names_defaults(capsys):
    with pytest.raises(SystemExit):
        parse("--help")
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "Steps to train. (default: 7; at least 1)" in text
    assert "built-in demo clips" in text
    assert "--devices" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--max-steps", "0"), "Invalid max_steps 0: must be at least 1"),
        (("--batch-size", "1.5"), "--batch-size: invalid int value: '1.5'"),
        (("--seed", "4294967296"), r"seed 4294967296: must be in \[0, 2\*\*32\)"),
        (("--learning-rate", "-1"), "learning_rate -1.0: must be 0 or more"),
        (("--learning-rate", "inf"), "learning_rate inf: must be 0 or more"),
        (("--learning-rate", "fast"), "--learning-rate: invalid float value: 'fast'"),
        (("--devices", "2"), "unrecognized arguments"),
    ],
)
def test_parse_loop_options__errors(arguments, message):
    with pytest.raises(UsageError, match=message):
        parse(*arguments)


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
