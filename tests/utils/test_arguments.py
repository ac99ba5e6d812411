from argparse import ArgumentTypeError

import pytest

from lightly_marlin.utils.arguments import (
    RecipeParser,
    positive_integer,
    positive_number,
)
from lightly_marlin.utils.errors import UsageError


def test_recipe_parser__error_is_one_line():
    parser = RecipeParser(prog="recipe.py")
    parser.add_argument("--steps", type=int)
    with pytest.raises(
        UsageError, match=r"invalid int value: 'x' \(see recipe\.py --h"
    ):
        parser.parse_args(["--steps", "x"])
    assert parser.parse_args(["--steps", "3"]).steps == 3


def test_positive_number():
    assert positive_number("2.5") == 2.5
    for text in ("0", "-1", "nan", "inf", "", "many"):
        with pytest.raises(ArgumentTypeError, match="must be a positive number"):
            positive_number(text)


def test_positive_integer():
    assert positive_integer("12") == 12
    for text in ("0", "-1", "1.5", "", "many"):
        with pytest.raises(ArgumentTypeError, match="must be a positive integer"):
            positive_integer(text)
