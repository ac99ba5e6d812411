#!/usr/bin/env python3
"""Sets up an environment of its own and runs something in it.

    python3 run.py demo       pretrain on the built-in demo clips, with a picture
    python3 run.py test       run the tests
    python3 run.py check      run the linter and the type checker
    python3 run.py COMMAND …  run any command in the environment

Needs Python 3.10 or newer, git and pip, nothing else. The environment is `.venv` beside
this file; it is made at the first call and brought up to date when pyproject.toml
changes, so that later calls start at once. `test` and `check` add the tools of
development to what the others install.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
BIN = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")
STAMP = ENVIRONMENT / "installed.txt"
# What may be installed; each includes those before it.
EXTRAS = ("all", "dev")
HOST_PIP = (sys.executable, "-m", "pip")
STAGE = ROOT / "build" / "typecheck"


def main(arguments: list[str]) -> int:
    """Runs what the command line says; returns the exit status."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if arguments else 2
    if sys.version_info < (3, 10):  # noqa: UP036  (an older Python gets here too)
        print("error: Python 3.10 or newer is needed, this is", sys.version.split()[0])
        return 2
    name, *rest = arguments
    status = prepare("dev" if name in ("test", "check") else "all")
    if status:
        return status
    if name == "demo":
        return demo(rest)
    if name == "test":
        return call("python", "-m", "pytest", *rest)
    if name == "check":
        return check()
    return call(name, *rest)


def prepare(extra: str) -> int:
    """Makes or updates the environment; returns the exit status.

    Args:
        extra: Extra of the package that has to be there, one of `EXTRAS`.
    """
    project = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    before = STAMP.read_text().split() if STAMP.exists() else []
    # What was installed once is kept up to date.
    extra = max(extra, before[0], key=EXTRAS.index) if before else extra
    if before == [extra, project]:
        return 0
    size = "" if before else " (about 6 GB, once)"
    print(f"Setting up {ENVIRONMENT} for {extra}{size}", flush=True)
    # Some systems ship Python without the module that puts pip into environments.
    with_pip = importlib.util.find_spec("ensurepip") is not None
    venv.create(ENVIRONMENT, with_pip=with_pip, symlinks=os.name != "nt")
    python = str(BIN / "python")
    pip = [python, "-m", "pip"] if with_pip else [*HOST_PIP, "--python", python]
    command = [*pip, "install", "--disable-pip-version-check", "-e", f"{ROOT}[{extra}]"]
    status = subprocess.call(command)
    if status:
        print("error: the installation failed; see the lines above", file=sys.stderr)
        return status
    STAMP.write_text(f"{extra} {project}")
    return 0


def demo(rest: list[str]) -> int:
    """Pretrains the tiny model on the demo clips; continues where it was stopped."""
    out = ["--out", "run_demo"] if "--out" not in rest else []
    return call(
        "python",
        "recipes/pretrain_marlin.py",
        "--config",
        "recipes/configs/demo.yaml",
        "--resume",
        *out,
        *rest,
    )


def check() -> int:
    """Lints and type-checks; returns the first exit status that is not 0."""
    # mypy follows no package-dir, so it gets the tree as it is installed.
    shutil.rmtree(STAGE, ignore_errors=True)
    shutil.copytree(ROOT / "lightly_marlin", STAGE / "lightly_marlin")
    shutil.copytree(ROOT / "kernels", STAGE / "lightly_marlin" / "kernels")
    recipes = [str(path) for path in sorted((ROOT / "recipes").glob("*.py"))]
    benchmarks = (ROOT / "recipes" / "benchmarks").glob("[!_]*.py")
    config = ["--config-file", str(ROOT / "pyproject.toml")]
    environment = {**os.environ, "MYPYPATH": str(STAGE)}
    return (
        call("ruff", "check", ".")
        or call("ruff", "format", "--check", ".")
        or call("mypy", *config, "-p", "lightly_marlin", env=environment)
        or call("mypy", *config, *recipes, env=environment)
        or call("mypy", *config, *map(str, sorted(benchmarks)), env=environment)
    )


def call(program: str, *arguments: str, env: dict[str, str] | None = None) -> int:
    """Runs a program of the environment in the repository; returns its exit status."""
    found = shutil.which(program, path=f"{BIN}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        print(f"error: no program {program}", file=sys.stderr)
        return 2
    environment = dict(os.environ if env is None else env)
    environment["PATH"] = f"{BIN}{os.pathsep}{environment['PATH']}"
    environment["VIRTUAL_ENV"] = str(ENVIRONMENT)
    try:
        return subprocess.call([found, *arguments], cwd=ROOT, env=environment)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
