from pathlib import Path

import pytest

from lightly_marlin.training import parse_loop_options
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
    text = " ".join(capsys.readouterr().out.split())
    assert "steps to train, default: 7" in text
    assert "built-in demo clips" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--max-steps", "0"), "must be a positive integer, got '0'"),
        (("--batch-size", "1.5"), "must be a positive integer, got '1.5'"),
        (("--seed", "4294967296"), r"must be an integer in \[0, 2\*\*32\)"),
        (("--learning-rate", "-1"), "must be a number of 0 or more, got '-1'"),
        (("--learning-rate", "inf"), "must be a number of 0 or more"),
        (("--learning-rate", "fast"), "got 'fast'"),
        (("--devices", "2"), "unrecognized arguments"),
    ],
)
def test_parse_loop_options__errors(arguments, message):
    with pytest.raises(UsageError, match=message):
        parse(*arguments)
