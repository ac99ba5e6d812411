import pytest
from torch.utils.data import DataLoader, Dataset

from lightly_marlin.utils.console import run_recipe
from lightly_marlin.utils.errors import UsageError


def raising(error):
    def main():
        raise error

    return main


def test_run_recipe__passes_the_status_on():
    assert run_recipe(lambda: 0) == 0


def test_run_recipe__a_users_mistake_is_one_line(capsys):
    text = "the folder [x] " + "is very long " * 20 + "indeed"
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


class _Damaged(Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise UsageError("the crop a.mov is damaged")


def test_run_recipe__no_traceback_of_loader_processes(capsys):
    assert run_recipe(lambda: len(list(DataLoader(_Damaged(), num_workers=1)))) == 2
    assert capsys.readouterr().err == "error: the crop a.mov is damaged\n"
