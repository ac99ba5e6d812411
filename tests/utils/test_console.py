import os
import subprocess
import sys

import pytest
from torch.utils.data import DataLoader, Dataset

from lightly_marlin.utils.console import one_line, run_recipe
from lightly_marlin.utils.dependency import require
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


def test_run_recipe__a_missing_extra_is_one_line(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)
    monkeypatch.setattr(sys, "argv", ["recipes/find.py"])
    line = 'needs dlib. Install it with: pip install "lightly-marlin[faces]"'
    # Before the work and within it.
    assert run_recipe(lambda: 0, "faces") == 2
    assert run_recipe(lambda: require("dlib", "Finding faces")) == 2
    errors = capsys.readouterr().err
    assert errors == f"error: find.py {line}\nerror: Finding faces {line}\n"


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


def test_one_line__escapes_what_would_break_the_line_or_the_terminal():
    assert one_line("a\nb\r\x1b[31m\udcff.mp4") == "a\\nb\\r\\x1b[31m\\udcff.mp4"
    assert one_line("ж 脸 é.mp4") == "ж 脸 é.mp4"


def test_run_recipe__names_that_the_terminal_cannot_show(capfd):
    code = "import sys; from lightly_marlin.utils.console import *\n"
    code += "from lightly_marlin.utils.errors import UsageError\n"
    code += (
        "def main():\n console.print('脸'); raise UsageError('no file 脸\\udcff\\n')\n"
    )
    code += "sys.exit(run_recipe(main))"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    shown = capfd.readouterr()
    assert done.returncode == 2
    assert shown.out == "\\u8138\n"
    assert shown.err == "error: no file \\u8138\\udcff\n"


@pytest.mark.parametrize(
    "text",
    [
        # As PyTorch 2 words it, in the main process and in a worker.
        "DataLoader worker (pid 41) is killed by signal: Bus error. It is possible that"
        " dataloader's workers are out of shared memory. Please try to raise your "
        "shared memory limit.",
        "DataLoader worker (pid(s) 41) exited unexpectedly: killed by bus error",
        "Caught RuntimeError in DataLoader worker process 0.\nOriginal Traceback\n"
        "RuntimeError: unable to allocate shared memory(shm) for file </torch_4_1_2>: "
        "No space left on device (28)",
        "unable to write to file </torch_41_2>: No space left on device (28)",
    ],
)
def test_run_recipe__little_shared_memory_is_one_line(text, capsys):
    assert run_recipe(raising(RuntimeError(text))) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: The loader's workers have too little shared memory")
    assert "--workers 0" in line


@pytest.mark.parametrize(
    "text",
    [
        "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:545] Read error "
        "[127.0.0.1]:6358: Connection reset by peer.",
        "NCCL error: ncclRemoteError: A call failed possibly due to a network error",
    ],
    ids=["gloo", "nccl"],
)
def test_run_recipe__another_process_that_is_gone_is_one_line(text, capsys):
    assert run_recipe(raising(RuntimeError(text))) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: Another process of this training has ended")


@pytest.mark.parametrize("text", ["out of shared memory: 99 KiB a block", "Bus error"])
def test_run_recipe__other_errors_are_raised(text):
    with pytest.raises(RuntimeError, match=text):
        run_recipe(raising(RuntimeError(text)))
