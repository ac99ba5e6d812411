import math
from dataclasses import dataclass, replace
from typing import Literal

import pytest

from lightly_marlin.utils.errors import UsageError
from lightly_marlin.utils.settings import (
    AT_LEAST_1,
    NOT_NEGATIVE,
    Choice,
    check_settings,
    convert_setting,
    list_options,
    setting,
)


@dataclass(frozen=True)
class Example:
    """An example."""

    steps: int = setting(3, "Steps to train.", AT_LEAST_1)
    rate: float | None = setting(None, "Learning rate.", NOT_NEGATIVE)
    kind: Literal["a", "b"] = setting("a", "Kind of it.")
    name: str = setting("x1", "Name.", Choice(lambda: ("x1", "x2")))
    fast: bool = setting(True, "Hurry.")
    hidden: int = 5

    def __post_init__(self):
        check_settings(self)


def test_list_options():
    options = {option.name: option for option in list_options(Example)}
    assert list(options) == ["steps", "rate", "kind", "name", "fast"]
    assert (options["rate"].kind, options["rate"].optional) == (float, True)
    assert options["steps"].hint(7) == "(default: 7; at least 1)"
    assert options["kind"].hint("a") == "(default: a; one of a, b)"
    assert options["rate"].hint(None) == "(0 or more)"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": 0}, "Invalid steps 0: must be at least 1"),
        ({"rate": math.inf}, "Invalid rate inf: must be 0 or more"),
        ({"kind": "c"}, r"Invalid kind \(c\)\. Supported values are a, b\."),
        ({"name": "x3"}, r"Invalid name \(x3\)\. Supported values are x1, x2\."),
    ],
)
def test_check_settings(values, message):
    with pytest.raises(UsageError, match=message):
        replace(Example(), **values)


@pytest.mark.parametrize(
    ("name", "value", "converted"),
    [
        ("steps", "7", 7),
        ("steps", 7.0, 7),
        ("rate", "1.5e-4", 1.5e-4),
        ("rate", 2, 2.0),
        ("rate", None, None),
        ("name", 32, "32"),
        ("fast", False, False),
    ],
)
def test_convert_setting(name, value, converted):
    result = convert_setting(Example, name, value)
    assert (result, type(result)) == (converted, type(converted))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("steps", 2.5, "int"),
        ("steps", True, "int"),
        ("steps", None, "int"),
        ("steps", math.inf, "int"),
        ("rate", [1], "float or null"),
        ("fast", 1, "bool"),
    ],
)
def test_convert_setting__errors(name, value, message):
    with pytest.raises(TypeError, match=f"^{message}$"):
        convert_setting(Example, name, value)
