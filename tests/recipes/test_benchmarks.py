"""Benchmarks are programs too: they run, refuse wrong results, and write JSON."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

BENCHMARKS = Path(__file__).parents[2] / "recipes" / "benchmarks"


def load(name, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(name, *options):
    command = [sys.executable, BENCHMARKS / f"{name}.py", *options]
    subprocess.run([str(part) for part in command], check=True, timeout=600)


def read_result(folder, suite):
    (path,) = folder.glob(f"{suite}-*.json")
    result = json.loads(path.read_text())
    assert result["suite"] == suite
    assert result["machine"]["versions"]["torch"] == torch.__version__.split("+")[0]
    return result


def test_train_step__refuses_to_time_wrong_results(monkeypatch):
    module = load("train_step", monkeypatch)
    batch = module.make_batch(1)
    assert module.check_same_result("marlin_vit_small", batch) < 1e-4
    batch["float"] = batch["float"] + 0.01
    with pytest.raises(SystemExit, match="not timing"):
        module.check_same_result("marlin_vit_small", batch)


@pytest.mark.slow
def test_train_step__runs(tmp_path):
    options = ("--models", "marlin_vit_small", "--batch-size", 1, "--repeats", 2)
    run("train_step", *options, "--out", tmp_path)
    result = read_result(tmp_path, "train_step")
    rows = result["results"]["marlin_vit_small"]
    assert rows["ours float32"]["speedup"] > 0
    assert all(row["peak_mib"] > 0 for row in rows.values())


@pytest.mark.slow
def test_demo_training__runs(tmp_path):
    options = ("--demo-clips", 3, "--demo-frames", 24, "--batch-size", 2)
    run("demo_training", "--results", tmp_path, "--max-steps", 2, *options)
    result = read_result(tmp_path, "demo_training")
    assert result["final"]["step"] == 2
    assert (tmp_path / "demo.png").exists()


@pytest.mark.slow
def test_loader__runs(tmp_path):
    run("loader", "--rounds", 1, "--out", tmp_path)
    result = read_result(tmp_path, "loader")
    assert result["speedup"] > 0
    assert result["size_ratio"] > 1


def test_demo_training__picture_of_a_run(tmp_path):
    pictures = tmp_path / "run" / "reconstructions"
    pictures.mkdir(parents=True)
    Image.new("RGB", (400, 800), "red").save(pictures / "step_0000010.png")
    run("demo_training", "--picture", tmp_path / "run", "--results", tmp_path)
    with Image.open(tmp_path / "demo.png") as picture:
        assert picture.size == (200, 400)
        assert picture.convert("RGB").getpixel((5, 5)) == (255, 0, 0)


@pytest.mark.slow
def test_faces_picture__runs(tmp_path):
    """The README's picture: the sheet of one clip with one face in every frame."""
    run("faces_picture", "--results", tmp_path)
    with Image.open(tmp_path / "faces.png") as picture:
        assert picture.width == 900
        assert picture.height > 700
