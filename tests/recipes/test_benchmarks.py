"""Benchmarks are programs too: they run, refuse wrong results, and write JSON."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lightly_marlin.data import write_video

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


def save_clip(path):
    """A clip of 70 frames of moving noise: two reference windows."""
    noise = np.random.default_rng(0).integers(0, 256, (70, 7, 7, 3), dtype=np.uint8)
    write_video(path, noise.repeat(32, axis=1).repeat(32, axis=2))


def test_feature_extraction__refuses_to_time_wrong_results(monkeypatch, tmp_path):
    module = load("feature_extraction", monkeypatch)
    exact = torch.ones(2, 3)
    variants = {
        "reference float32": lambda path: exact,
        "ours float32": lambda path: exact + 1e-5,
        "ours bf16": lambda path: exact * 1.5,
    }
    check = module.check_same_result(variants, [tmp_path])
    assert check["windows"] == 2
    for name, wrong in (
        ("ours float32", exact + 0.001),
        ("ours float32", exact[:1]),
        ("ours bf16", torch.tensor([[1.0, 1, 1], [1, 1, 0]])),
    ):
        changed = {**variants, name: lambda path, wrong=wrong: wrong}
        with pytest.raises(SystemExit, match="not timing"):
            module.check_same_result(changed, [tmp_path])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "suite"),
    [
        ((), "feature_extraction"),
        (("--processor-time",), "feature_extraction_1_thread"),
    ],
)
def test_feature_extraction__runs(options, suite, tmp_path):
    save_clip(tmp_path / "clip.mp4")
    options = ("--model", "marlin_vit_small", "--repeats", 2, *options)
    run("feature_extraction", tmp_path / "clip.mp4", *options, "--out", tmp_path)
    result = read_result(tmp_path, suite)
    assert result["windows"] == 2
    assert result["largest_difference_float32"] < 1e-4
    assert result["smallest_cosine_bf16"] > 0.999
    assert result["results"]["ours bf16"]["speedup"] > 0
