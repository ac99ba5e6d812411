"""Programs in the copied Python behave as in one of their own."""

import contextlib
import os
import subprocess
import textwrap
import time

import pytest

PROGRAM = """
import multiprocessing, os, sys
import helper, torch

def double(x):
    return 2 * x

if __name__ == "__main__":
    torch.nn.Linear(2, 1)(torch.ones(3, 2)).sum().backward()
    with multiprocessing.get_context("forkserver").Pool(1) as pool:
        print(sys.argv[1:], os.environ["X"], pool.map(double, [helper.one]))
    sys.exit("the end" if sys.argv[1:] else 3)
"""


@pytest.fixture
def run(warm_python, tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "helper.py").write_text("one = 1")
    (tmp_path / "program.py").write_text(PROGRAM)

    def start(*arguments, text=""):
        return subprocess.run(
            [warm_python, *arguments],
            env={**os.environ, "X": "y", "PYTHONPATH": "lib"},
            input=textwrap.dedent(text),
            capture_output=True,
            text=True,
            check=False,
        )

    return start


def test_program(run):
    done = run("program.py", "a b", "c")
    assert done.stdout == "['a b', 'c'] y [2]\n"
    assert done.stderr == "the end\n"
    assert done.returncode == 1
    assert run("program.py").returncode == 3


def test_standard_input_and_flags(run):
    done = run("-", text="import helper; print(helper.one); 1 / 0")
    assert (done.returncode, done.stdout) == (1, "1\n")
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")
    assert run("-c", "print(5)").stdout == "5\n"


def test_dies_with_the_stand_in(warm_python, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(99)"
    )
    process = subprocess.Popen([warm_python, program], stdout=subprocess.PIPE)
    number = int(process.stdout.readline())
    process.kill()
    process.wait()
    deadline = time.monotonic() + 30
    while is_alive(number):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_alive(number):
    with contextlib.suppress(ProcessLookupError):
        os.kill(number, 0)
        return True
    return False
