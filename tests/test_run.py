"""`run.py` installs what a command needs, once, and adds what a later one lacks."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """run.py as a module, in a folder of its own; `run.installed` logs the extras."""
    spec = importlib.util.spec_from_file_location("run", ROOT / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "pyproject.toml").write_text("one")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "ENVIRONMENT", tmp_path)
    monkeypatch.setattr(module, "STAMP", tmp_path / "installed.txt")
    monkeypatch.setattr(module.venv, "create", lambda *_, **__: None)
    monkeypatch.setattr(module, "call", lambda *_, **__: 0)
    monkeypatch.setattr(module, "check", lambda: 0)
    module.installed, module.status = [], 0

    def pip(command):
        module.installed.append(command[-1].removeprefix(str(tmp_path)))
        return module.status

    monkeypatch.setattr(module.subprocess, "call", pip)
    return module


@pytest.mark.parametrize(
    ("command", "extra"),
    [("demo", "[all]"), ("python", "[all]"), ("test", "[dev]"), ("check", "[dev]")],
)
def test_run__installs_what_the_command_needs_once(run, command, extra):
    for _ in range(2):
        assert run.main([command]) == 0
    assert run.installed == [extra]


def test_run__adds_what_a_later_command_needs_and_keeps_it(run):
    for command in ("demo", "test", "demo", "check"):
        assert run.main([command]) == 0
    assert run.installed == ["[all]", "[dev]"]


def test_run__a_changed_project_updates_all_that_was_installed(run, tmp_path):
    run.main(["test"])
    (tmp_path / "pyproject.toml").write_text("two")
    run.main(["demo"])
    assert run.installed == ["[dev]", "[dev]"]


def test_run__an_installation_that_failed_is_done_again(run):
    run.status = 1
    assert run.main(["demo"]) == 1
    run.status = 0
    assert run.main(["demo"]) == 0
    assert run.installed == ["[all]", "[all]"]
