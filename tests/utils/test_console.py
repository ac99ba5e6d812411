import pytest

from lightly_marlin.utils.console import run_recipe
from lightly_marlin.utils.errors import UsageError


def raising(error):
    def main():
        raise error

    return main


def test_run_recipe__passes_the_status_on():
    assert run_recipe(lambda: 0) == 0


def test_run_recipe__a_users_mistake_is_one_line(capsys):
    text = "the folder [x] " + "is very long " * 20
    assert run_recipe(raising(UsageError(text))) == 2
    captured = capsys.readouterr()
    assert captured.err == f"error: {text}\n"
    assert captured.out == ""


def test_run_recipe__interrupted(capsys):
    assert run_recipe(raising(KeyboardInterrupt())) == 1
    assert capsys.readouterr().err == "interrupted\n"


def test_run_recipe__our_own_mistakes_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run_recipe(lambda: 1 // 0)
