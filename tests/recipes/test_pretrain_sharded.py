"""Pretraining with the model spread over two processes equals one that is not."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lightly_marlin.models import Marlin

RECIPE = Path(__file__).parents[2] / "recipes" / "pretrain_marlin.py"
OPTIONS = ("--model", "marlin_vit_tiny", "--image-size", 64, "--batch-size", 1)
OPTIONS += ("--workers", 0, "--precision", 32, "--warmup-steps", 2, "--log-every", 1)
OPTIONS += ("--logger", "none", "--devices", 2, "--gradient-penalty-weight", 10)
OPTIONS += ("--clip-gradient", 1, "--weight-decay", 0.05)


def train(*options):
    command = [str(part) for part in (sys.executable, RECIPE, *options)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, timeout=300, env=environment)


def rows(run, name="metrics.csv"):
    """Rows as numbers, without the clips per second of metrics.csv."""
    with (run / name).open() as file:
        found = [[float(x) for x in row.values()] for row in csv.DictReader(file)]
    return [row[:-1] for row in found] if name == "metrics.csv" else found


def saved(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


def assert_equal_states(first, second):
    """Whole tensors under equal names, in the model and in both optimizers."""
    assert first.keys() == second.keys()
    close = {"rtol": 1e-4, "atol": 1e-6}
    torch.testing.assert_close(first["state_dict"], second["state_dict"], **close)
    pairs = zip(first["optimizer_states"], second["optimizer_states"], strict=True)
    for left, right in pairs:
        assert left["param_groups"] == right["param_groups"]
        torch.testing.assert_close(left["state"], right["state"], **close)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny_store):
    """Four steps by each strategy."""
    folder = tmp_path_factory.mktemp("runs")
    for strategy in ("fsdp", "ddp"):
        options = ("--store", tiny_store, *OPTIONS, "--strategy", strategy)
        train(*options, "--max-steps", 4, "--out", folder / strategy)
    return folder


@pytest.mark.slow
def test_fsdp__the_losses_and_weights_of_ddp(runs):
    sharded, whole = runs / "fsdp", runs / "ddp"
    assert rows(sharded) == [pytest.approx(row, rel=1e-5) for row in rows(whole)]
    held_out = [rows(run, "validation.csv")[-1] for run in (sharded, whole)]
    assert held_out[0] == pytest.approx(held_out[1], rel=1e-5)
    assert_equal_states(saved(sharded), saved(whole))
    model = Marlin.from_pretrained(sharded / "model")
    weights = saved(sharded)["state_dict"]
    for name, value in model.state_dict().items():
        assert torch.equal(value, weights[f"model.{name}"])


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [("fsdp", "fsdp"), ("fsdp", "ddp")])
def test_fsdp__resumed_either_way(before, after, runs, tmp_path):
    """Two steps more from what each has left behind end in the same."""
    for name, begun, strategy in (("one", before, after), ("two", "ddp", "ddp")):
        out = tmp_path / name
        shutil.copytree(runs / begun, out)
        options = ("--resume", "--strategy", strategy, "--max-steps", 6)
        train(*options, "--out", out)
    assert [row[0] for row in rows(tmp_path / "one")] == [1, 2, 3, 4, 5, 6]
    assert_equal_states(saved(tmp_path / "one"), saved(tmp_path / "two"))


@pytest.mark.slow
def test_ddp__goes_on_sharded_and_then_on_one_device(runs, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(runs / "ddp", out)
    train("--resume", "--strategy", "fsdp", "--max-steps", 5, "--out", out)
    one = ("--strategy", "auto", "--devices", 1, "--batch-size", 2, "--max-steps", 6)
    train("--resume", *one, "--out", out)
    other = tmp_path / "other"
    shutil.copytree(runs / "ddp", other)
    train("--resume", "--max-steps", 6, "--out", other)
    pairs = zip(rows(out), rows(other), strict=True)
    for first, second in pairs:
        assert first[:2] + first[3:] == pytest.approx(second[:2] + second[3:], rel=1e-3)
    assert saved(out)["samples_seen"] == 12
