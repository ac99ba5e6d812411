"""The ablation from end to end: one cell, one seed, one probe."""

import json
import sys

import pytest
import yaml

from lightly_marlin.utils.console import run_recipe


@pytest.fixture(scope="module")
def module(load_recipe):
    return load_recipe("ablate")


@pytest.fixture(scope="module")
def ablate(module):
    def run(*arguments):
        return run_recipe(lambda: module.main([str(x) for x in arguments]))

    return run


VIDEOS = ("demo_00.mp4", "demo_01.mp4", "demo_02.mp4")


def write_grid(folder, store, **changes):
    values = {
        "pretrain": {
            "model": "marlin_vit_tiny",
            "store": str(store),
            "max_steps": 2,
            "batch_size": 2,
            "workers": 0,
            "logger": "none",
        },
        "grid": {"mask": ["tube"]},
        "seeds": [1],
        "probes": {
            "demo": {"labels": "demo.csv", "store": str(store), "column": ["talking"]}
        },
        "baselines": ["pixels"],
        **changes,
    }
    lines = ["video,start,end,split,talking"]
    for name, split in zip(VIDEOS, ("train", "val", "test"), strict=True):
        lines += [f"{name},0,0.5,{split},0", f"{name},0.5,1,{split},1"]
    (folder / "demo.csv").write_text("\n".join(lines))
    path = folder / "grid.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture
def grid(tmp_path, tiny_store):
    return write_grid(tmp_path, tiny_store)


def test_ablate__dry_run_lists_steps_and_writes_nothing(grid, ablate, tmp_path, capsys):
    assert ablate(grid, "--out", tmp_path / "out", "--dry-run") == 0
    lines = capsys.readouterr().out
    assert lines.count("to do") == 3
    assert "mask=tube" in lines
    assert "pixels" in lines
    assert not (tmp_path / "out").exists()


def test_ablate__wrong_grid_is_one_line(tmp_path, tiny_store, ablate, capsys):
    grid = write_grid(tmp_path, tiny_store, seeds=[])
    assert ablate(grid, "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "seeds must be a list" in error
    assert not (tmp_path / "out").exists()


def test_ablate__a_step_that_fails(
    tmp_path, tiny_store, ablate, capsys, warm_python, monkeypatch
):
    """The pretraining finds no weights: one line that names cell, reason and log."""
    monkeypatch.setattr(sys, "executable", str(warm_python))
    shared = {"model": "marlin_vit_tiny", "store": str(tiny_store), "weights": "./no"}
    grid = write_grid(tmp_path, tiny_store, pretrain=shared)
    assert ablate(grid, "--out", tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("error: mask=tube seed=1 pretrain failed (status 2): ")
    assert "no" in error
    assert "pretrain.log" in error
    assert not list((tmp_path / "out").rglob("pretrained.json"))


def snapshot(folder):
    return {
        path.relative_to(folder): (path.stat().st_mtime_ns, path.read_bytes())
        for path in (folder / "cells").rglob("*")
        if path.is_file()
    }


@pytest.mark.slow
def test_ablate__whole_then_skipped_then_grown(
    tmp_path, tiny_store, module, ablate, monkeypatch, capsys
):
    grid, out = write_grid(tmp_path, tiny_store), tmp_path / "out"
    assert ablate(grid, "--out", out) == 0
    said = capsys.readouterr().out
    assert "Fewer than 3 seeds" in said
    content = json.loads((out / "ablation.json").read_text())
    assert list(content["probes"]["demo"]["rows"]) == ["mask=tube", "pixels"]
    report = {path.name: path.read_bytes() for path in out.glob("ablation.*")}
    assert len(report) == 3
    assert (out / "demo.png").exists()

    assert ablate(grid, "--out", out) == 2
    assert "holds an ablation already" in capsys.readouterr().err

    before = snapshot(out)
    with monkeypatch.context() as patch:
        patch.setattr(module.subprocess, "run", lambda *_, **__: pytest.fail("ran"))
        assert ablate(grid, "--out", out, "--resume") == 0
    assert "3 of 3 steps are finished." in capsys.readouterr().out
    assert snapshot(out) == before
    assert {path.name: path.read_bytes() for path in out.glob("ablation.*")} == report

    # A result that is lost is made again, the same, and nothing else is.
    (lost,) = (out / "cells" / "mask=tube").rglob("results.json")
    kept = json.loads(lost.read_text())
    lost.unlink()
    assert ablate(grid, "--out", out, "--resume") == 0
    again = json.loads(lost.read_text())
    assert {**again, "seconds": 0} == {**kept, "seconds": 0}
    assert {path.name: path.read_bytes() for path in out.glob("ablation.*")} == report

    grid = write_grid(tmp_path, tiny_store, baselines=["random"])
    assert ablate(grid, "--out", out, "--resume") == 2
    assert "it has pixels among its baselines" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a\nerror: No store.\n", "No store."),
        ("error: old\n" + "x\n" * 9 + "RuntimeError: new\n", "RuntimeError: new"),
        ("", "it printed nothing"),
    ],
)
def test_last_error(module, tmp_path, text, words):
    (tmp_path / "log").write_text(text)
    assert module.last_error(tmp_path / "log") == words


def test_run_step__killed(module, tmp_path, monkeypatch):
    """A step ended by a signal says which; nothing is marked as finished."""
    from lightly_marlin.evaluation.results.ablation import Step

    recipe = tmp_path / "dies.py"
    recipe.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    monkeypatch.setattr(module, "RECIPES", tmp_path)
    done = tmp_path / "done"
    step = Step("a", 0, "demo", "dies.py", (), None, tmp_path / "x.log", done)
    lock = (tmp_path / "lock").open("w")
    with lock, pytest.raises(module.StepError, match="ended by SIGKILL"):
        module.run_step(step, lock)
    assert not done.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="locks are inherited on POSIX")
def test_run_step__its_process_holds_the_lock(module, tmp_path, monkeypatch):
    """If the ablation is killed, the step that goes on keeps others away."""
    from lightly_marlin.evaluation.results.ablation import Step
    from lightly_marlin.jobs.lock import take_lock

    recipe = tmp_path / "looks.py"
    recipe.write_text("import os, sys\nos.fstat(int(sys.argv[1]))\n")
    monkeypatch.setattr(module, "RECIPES", tmp_path)
    lock = take_lock(tmp_path, "ablation")
    arguments = (str(lock.fileno()),)
    log = tmp_path / "x.log"
    module.run_step(Step("a", 0, "demo", "looks.py", arguments, None, log, log), lock)
    lock.close()
