import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.options import add_options, parse_given, parse_options
from lightly_marlin.utils.settings import (
    AT_LEAST_1,
    NOT_NEGATIVE,
    Choice,
    check_settings,
    setting,
)


@dataclass(frozen=True)
class BaseSettings:
    """What all have."""

    steps: int = setting(3, "Steps to train.", AT_LEAST_1)
    rate: float | None = setting(None, "Learning rate, 5 % or so.", NOT_NEGATIVE)


@dataclass(frozen=True)
class Example(BaseSettings):
    """An example."""

    kind: Literal["a", "b"] = setting("a", "Kind of it.")
    name: str = setting("x1", "Name.", Choice(lambda: ("x1", "x2")))
    out: Path = setting(Path("run"), "Folder.", metavar="RUN")
    fast: bool = setting(True, "Hurry.")
    hidden: int = 5

    def __post_init__(self):
        check_settings(self)


def parse(*arguments, **defaults):
    return parse_options(Example, arguments, "Do.", defaults)


def test_parse_options__values_and_defaults():
    assert parse() == Example()
    given = parse("--steps", "5", "--rate=1.5e-4", "--out", "there", "--no-fast")
    assert given == Example(steps=5, rate=1.5e-4, out=Path("there"), fast=False)
    assert parse(steps=7).steps == 7
    assert parse("--steps", "8", steps=7).steps == 8


def test_parse_options__the_last_value_holds():
    assert parse("--steps", "5", "--fast", "--steps=6", "--no-fast").steps == 6


def test_parse_given__only_what_was_given():
    given = parse_given(Example, ["--fast", "--kind", "b"], "Do.")
    assert given == {"fast": True, "kind": "b"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "0"], "argument --steps: Invalid steps 0: must be at least 1"),
        (["--steps", "-1"], "Invalid steps -1: must be at least 1"),
        (["--steps", "2.5"], "argument --steps: invalid int value: '2.5'"),
        (["--steps", "many", "--steps", "1"], "argument --steps: invalid int value"),
        (["--rate", "nan"], "Invalid rate nan: must be 0 or more"),
        (["--rate", ""], "argument --rate: invalid float value: ''"),
        (["--kind", "c"], r"Invalid kind \(c\)\. Supported values are a, b\."),
        (["--name", "x3"], r"Invalid name \(x3\)\. Supported values are x1, x2\."),
        (["--steps"], "Missing value for argument '--steps'"),
        (["--colour", "red"], "unrecognized arguments: --colour red"),
        (["--hidden", "3"], "unrecognized arguments: --hidden 3"),
    ],
)
def test_parse_options__errors_are_one_line(arguments, message):
    with pytest.raises(UsageError, match=message) as error:
        parse(*arguments)
    assert "\n" not in str(error.value).strip()


def test_parse_options__help(capsys):
    with pytest.raises(SystemExit) as error:
        parse("--help", steps=7)
    assert error.value.code == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "Steps to train. (default: 7; at least 1)" in text
    assert "Kind of it. (default: a; one of a, b)" in text
    assert "Learning rate, 5 % or so. (0 or more)" in text
    assert text.index("base options") < text.index("example options")


def test_add_options__to_argparse(capsys):
    parser = argparse.ArgumentParser()
    parser.add_argument("video")
    add_options(parser, BaseSettings, {"steps": 9})
    options = parser.parse_args(["v", "--rate", "0.5"])
    assert vars(options) == {"video": "v", "steps": 9, "rate": 0.5}
    with pytest.raises(SystemExit):
        parser.parse_args(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "Steps to train. (default: 9; at least 1)" in text
    assert "5 % or so" in text


def test_add_options__flags():
    parser = argparse.ArgumentParser()
    add_options(parser, Example)
    assert parser.parse_args([]).fast is True
    assert parser.parse_args(["--no-fast"]).fast is False
    assert parser.parse_args(["--no-fast", "--fast"]).fast is True


def test_options__need_no_torch():
    code = "import sys, lightly_marlin.utils.options; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
