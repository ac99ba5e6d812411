"""The program that tests and measures the kernels on a GPU, tried without one."""

import json
import subprocess
import sys

import pytest
import torch

from lightly_marlin.kernels.benchmarks import on_gpu, readme

OPTIONS = ("--device", "cpu", "--without-compile", "--repeats", "2")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_on_gpu__no_gpu():
    result = _on_gpu()
    assert result.returncode == 2
    assert result.stderr == "error: PyTorch sees no GPU here\n"


@pytest.mark.parametrize(
    ("options", "programs"),
    [
        ((), ["pytest", "pytest", "lightly_marlin.kernels.benchmarks"]),
        (("--tests-only",), ["pytest", "pytest"]),
        (("--benchmarks-only", "--tune"), ["lightly_marlin.kernels.benchmarks"]),
    ],
)
@pytest.mark.parametrize("xdist", [True, False])
def test_on_gpu__what_runs(options, programs, xdist, monkeypatch):
    calls = []

    def call(command, cwd, env):
        assert env["LIGHTLY_MARLIN_KERNELS"] == "strict"
        calls.append(command)
        return 0

    monkeypatch.setattr(on_gpu, "stage", lambda: None)
    monkeypatch.setattr(on_gpu.subprocess, "call", call)
    monkeypatch.setattr(on_gpu.importlib.util, "find_spec", lambda name: xdist or None)
    assert on_gpu.main(["--device", "cpu", *options]) == 0
    assert [command[2] for command in calls] == programs
    for command in calls:
        if command[2] == "pytest":
            values = any("test_kernel_values" in part for part in command)
            assert ("-n" in command) == (xdist and values)
            assert not any("test_kernels_compile" in part for part in command)
        else:
            assert command[-2:] == ["--device", "cpu"] or command[-1] == "--tune"
            assert "--tests-only" not in command


def test_on_gpu__failed_tests(monkeypatch, capsys):
    statuses = iter([0, 1])
    monkeypatch.setattr(on_gpu, "stage", lambda: None)
    monkeypatch.setattr(on_gpu.subprocess, "call", lambda *_, **__: next(statuses))
    assert on_gpu.main(["--device", "cpu"]) == 1
    assert "so nothing is measured" in capsys.readouterr().err


@pytest.mark.slow
def test_on_gpu__tests_then_measures(tmp_path):
    result = _on_gpu(*OPTIONS, "--batch-sizes", "1", "--out", str(tmp_path))
    assert result.returncode == 0, result.stdout + result.stderr
    assert " passed" in result.stdout
    (path,) = tmp_path.glob("kernels-*-cpu.json")
    assert json.loads(path.read_text(encoding="utf-8"))["operations"]


def _on_gpu(*options):
    command = [sys.executable, readme.README.parent / "benchmarks" / "on_gpu.py"]
    return subprocess.run(
        [*command, *options], capture_output=True, text=True, check=False
    )
