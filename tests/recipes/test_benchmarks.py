"""Benchmarks are programs too: they run, refuse wrong results, and write JSON."""

import dataclasses
import functools
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from lightly_marlin.models import MarlinConfig, create_marlin, create_marlin_encoder
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.video import write_video

CONFIGS = Path(__file__).parents[2] / "recipes" / "configs"


def test_train_step__refuses_to_time_wrong_results(load_benchmark):
    module = load_benchmark("train_step")
    batch = module.make_batch(1)
    assert module.check_same_result("marlin_vit_small", batch) < 1e-4
    batch["float"] = batch["float"] + 0.01
    with pytest.raises(SystemExit, match="not timing"):
        module.check_same_result("marlin_vit_small", batch)


@pytest.mark.slow
def test_train_step__runs(tmp_path, run_benchmark, read_result):
    options = ("--models", "marlin_vit_small", "--batch-size", 1, "--repeats", 2)
    run_benchmark("train_step", *options, "--out", tmp_path)
    result = read_result(tmp_path, "train_step")
    rows = result["results"]["marlin_vit_small"]
    assert rows["ours float32"]["speedup"] > 0
    assert all(row["peak_mib"] > 0 for row in rows.values())


@pytest.mark.slow
def test_demo_training__runs(tmp_path, run_benchmark, read_result):
    options = ("--demo-clips", 3, "--demo-frames", 24, "--max-steps", 2)
    for seed in (1, 0):
        run_benchmark("demo_training", "--results", tmp_path, *options, "--seeds", seed)
    result = read_result(tmp_path, "demo_training")
    assert [run["seed"] for run in result["runs"]] == [0, 1]
    assert [run["final"]["step"] for run in result["runs"]] == [2, 2]
    assert (tmp_path / "demo.png").exists()


@pytest.mark.slow
def test_loader__runs(tmp_path, run_benchmark, read_result):
    run_benchmark("loader", "--rounds", 1, "--out", tmp_path)
    result = read_result(tmp_path, "loader")
    assert result["speedup"] > 0
    assert result["size_ratio"] > 1


TABLE = """
| our name | repo | path | licence | shows | size | codec | det5 | rate25 | w | note |
|---|---|---|---|---|---|---|---|---|---|---|
| videos/wild_talking_01.mp4 | - | - | - | a face | - | - | - | 1.0 | - | - |
| videos/no_face_animation_01.mp4 | - | - | - | no face | - | - | - | 0.0 | - | - |
| images/one.jpg | - | - | - | a picture | - | - | - | 1.0 | - | - |
"""


@pytest.fixture
def clips(tmp_path):
    """Two clips with the names of real ones, and their table."""
    portrait = np.ascontiguousarray(skimage.data.astronaut()[:240, 100:340])
    wall = np.full_like(portrait, 90)
    data = tmp_path / "data"
    (data / "videos").mkdir(parents=True)
    write_video(data / "videos" / "wild_talking_01.mp4", [portrait] * 20)
    write_video(data / "videos" / "no_face_animation_01.mp4", [wall] * 20)
    (data / "SOURCES.md").write_text(TABLE)
    return data


def test_faces__judges_what_must_be_found(load_benchmark):
    module = load_benchmark("faces_clips")
    path = Path("videos")

    def right(name, frames, main, every, rate=1.0):
        clip = module.Clip(path / name, frames, rate)
        return module.judge(clip, main, every)["right"]

    whole = [(0, 100, "a")]
    assert right("any.mp4", 100, whole, whole)
    assert not right("any.mp4", 100, [(0, 98, "a")], whole)
    assert right("any.mp4", 100, [], [], rate=0.5)
    assert not right("no_face_animation_01.mp4", 95, [], whole)
    cut = "face_then_no_face_01.mov"
    assert right(cut, 169, [], [(2, 74, "a")])
    assert not right(cut, 169, [], [(2, 76, "a")])
    assert not right(cut, 169, [], [(0, 72, "a"), (90, 120, "b")])
    pair = "multi_face_pair_01.mp4"
    assert right(pair, 56, [], [(0, 56, "a"), (0, 56, "b")])
    assert not right(pair, 56, [], [(0, 56, "a"), (0, 56, "a")])
    assert right("short.mp4", 15, [], [])
    assert not right("multi_face_crowd_01.mp4", 105, [], whole)


def test_faces__runs(tmp_path, clips, monkeypatch, load_benchmark, read_result):
    module = load_benchmark("faces")
    monkeypatch.setattr(module, "SIZES", {"240x240": (240, 240)})
    affinity = os.sched_getaffinity(0)
    options = ["--rounds", "2", "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["faces.py", str(clips), *options])
    try:
        assert module.main() == 0
    finally:
        os.sched_setaffinity(0, affinity)
    result = read_result(tmp_path / "out", "faces")
    assert [row["tracks"] for row in result["coverage"]] == [[[0, 20]], []]
    assert result["jitter"][0]["ours"] < 0.01
    assert result["speed"][0]["ways"]["ours"]["median"] > 0
    assert result["workers"]["efficiency_of_two"] > 0


def test_faces__needs_a_table_of_clips(tmp_path, load_benchmark):
    module = load_benchmark("faces_clips")
    with pytest.raises(UsageError, match=r"holds no SOURCES\.md"):
        module.read_clips(tmp_path)
    (tmp_path / "SOURCES.md").write_text(TABLE)
    with pytest.raises(UsageError, match="names no clip that lies beside it"):
        module.read_clips(tmp_path)


def test_demo_training__picture_of_a_run(tmp_path, warm_python, run_benchmark):
    pictures = tmp_path / "run" / "reconstructions"
    pictures.mkdir(parents=True)
    Image.new("RGB", (400, 800), "red").save(pictures / "step_0000010.png")
    options = ("--picture", tmp_path / "run", "--results", tmp_path)
    run_benchmark("demo_training", *options, python=warm_python)
    with Image.open(tmp_path / "demo.png") as picture:
        assert picture.size == (200, 400)
        assert picture.convert("RGB").getpixel((5, 5)) == (255, 0, 0)


@pytest.mark.slow
def test_faces_picture__runs(tmp_path, run_benchmark):
    """The README's picture: the sheet of one clip with one face in every frame."""
    run_benchmark("faces_picture", "--results", tmp_path)
    with Image.open(tmp_path / "faces.png") as picture:
        assert picture.width == 900
        assert picture.height > 700


def save_clip(path):
    """A clip of 70 frames of moving noise: two reference windows."""
    noise = np.random.default_rng(0).integers(0, 256, (70, 7, 7, 3), dtype=np.uint8)
    write_video(path, noise.repeat(32, axis=1).repeat(32, axis=2))


def test_feature_extraction__refuses_to_time_wrong_results(tmp_path, load_benchmark):
    module = load_benchmark("feature_extraction")
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


def test_feature_extraction__speedups_and_their_limit(load_benchmark):
    module = load_benchmark("feature_extraction")
    seconds = {"reference float32": [8.0, 8.0], "ours bf16": [2.0, 2.0]}
    rows = module.summarise(seconds, 2, {"ours bf16": 0.5})
    assert rows["ours bf16"]["median_s"] == 1
    assert rows["ours bf16"]["speedup"] == 4
    assert rows["ours bf16"]["highest_speedup"] == 8
    assert "highest_speedup" not in rows["reference float32"]


def test_product_limit__counts_every_product(monkeypatch, load_benchmark):
    module = load_benchmark("product_limit")
    encoder = create_marlin_encoder("marlin_vit_tiny", encoder_depth=2)
    tokens, width, patch = 1568, 192, 1536
    block = tokens * width**2 * (3 + 1 + 4 + 4) + 2 * tokens**2 * width
    expected = 2 * (tokens * patch * width + 2 * block)
    assert module.count_flops(encoder) == expected
    assert module.count_flops(encoder.to(torch.bfloat16)) == expected
    monkeypatch.setattr(module, "_REPEATS", 1)
    assert module.product_rate(encoder, torch.float32) > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "suite"),
    [
        ((), "feature_extraction"),
        (("--processor-time",), "feature_extraction_1_thread"),
    ],
)
def test_feature_extraction__runs(options, suite, tmp_path, run_benchmark, read_result):
    save_clip(tmp_path / "clip.mp4")
    options = ("--model", "marlin_vit_small", "--repeats", 2, *options)
    run_benchmark(
        "feature_extraction", tmp_path / "clip.mp4", *options, "--out", tmp_path
    )
    result = read_result(tmp_path, suite)
    assert result["windows"] == 2
    assert result["largest_difference_float32"] < 1e-4
    assert result["smallest_cosine_bf16"] > 0.999
    row = result["results"]["ours bf16"]
    assert 0 < row["speedup"] < row["highest_speedup"]
    assert row["products_s"] < row["median_s"]


def track_at(x, count, start=0):
    """A track of a face, about 100 pixels wide, that stays where it is."""
    from lightly_marlin.faces import FaceTrack

    angles = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    ring = np.stack([x + 36 * np.cos(angles), 100 + 36 * np.sin(angles)], axis=-1)
    points = np.tile(ring.astype(np.float32), (count, 1, 1))
    boxes = np.zeros((count, 4), np.float32)
    return FaceTrack(start, boxes, points, np.ones(count, bool), 1.0)


def test_face_robustness__kept_and_other_tracks(load_benchmark):
    load_benchmark("degradations")
    benchmark = load_benchmark("face_robustness")
    clean = benchmark.boxes_by_frame([track_at(100, 8), track_at(400, 8)])
    # Every second frame is left: frames 2 to 4 of the degraded clip are 4 to 8.
    frames = [0, 2, 4, 6]
    found = [track_at(100, 3, start=1), track_at(700, 4)]
    degraded = benchmark.boxes_by_frame(found)
    assert benchmark.count_kept(clean, degraded, frames, 1.0) == (3, 8)
    # At a third of the size, faces are below 40 pixels and do not count.
    assert benchmark.count_kept(clean, degraded, frames, 1 / 3) == (0, 0)
    assert benchmark.count_others(clean, found, frames, 1.0) == 1


def test_degradations__say_what_they_leave(load_benchmark):
    module = load_benchmark("degradations")
    frames = [skimage.data.astronaut()[:96, :128]] * 6
    for one in module.DEGRADATIONS:
        kept = one.kept_frames(len(frames), 24.0)
        degraded = list(one.apply([frames[index] for index in kept]))
        assert len(degraded) == len(kept) == (6 * (one.frame_rate or 24) // 24)
        height, width = degraded[0].shape[:2]
        assert (height, width) == (96 * one.scale, round(128 * one.scale))
        assert degraded[0].dtype == np.uint8


def test_linear_probe__runs(tmp_path, warm_python, run_benchmark, read_result):
    sizes = ("--rows", 600, "--held-out", 200, "--features", 8, "--labels", 3)
    options = (*sizes, "--processor-time", "--out", tmp_path)
    run_benchmark("linear_probe", *options, python=warm_python)
    result = read_result(tmp_path, "linear_probe_1_thread")
    assert result["heads"] == 15
    row = result["results"]
    assert row["auc_mean"] > 0.6
    assert min(row["train_seconds"], row["whole_seconds"]) > 0
    assert row["epochs"] == 334
    assert row["peak_gib"] < 4


def test_linear_probe__noise_is_not_reported(monkeypatch, load_benchmark):
    module = load_benchmark("linear_probe")
    problem = module.make_problem(60, 40, 4, 2)
    noise = torch.zeros_like(problem.features.features)
    features = dataclasses.replace(problem.features, features=noise)
    for name in ("fit_linear", "linear_probe"):
        quick = functools.partial(getattr(module, name), epochs=1, min_steps=1)
        monkeypatch.setattr(module, name, quick)
    with pytest.raises(SystemExit, match=r"mean AUC is 0\.500: not reporting"):
        module.measure(problem._replace(features=features))


def test_objective_costs__pixels_alone_and_with_a_teacher(monkeypatch, load_benchmark):
    module = load_benchmark("objective_costs")
    small = MarlinConfig(
        img_size=32, encoder_dim=24, encoder_depth=2, encoder_num_heads=2
    )
    monkeypatch.setattr(module, "named_config", lambda name: small)
    pixels, latent, both, released = (
        module.count("small", objectives)
        for objectives in (
            "pixels=1",
            "pixels=1 latent=0.1",
            "pixels=1 latent=0.1 instance=0.1",
            module.RELEASED,
        )
    )
    assert 0 < pixels < latent < both
    assert pixels < released
    # The teacher's forward pass is shared: the second objective adds its heads alone.
    heads = 2 * 3 * 2 * (24 * 4096 + 4096 * 256 + 256 * 4096 + 4096 * 256) / 1e9
    assert both - latent < heads


def test_demo_probe__accuracies_by_hand(load_benchmark):
    module = load_benchmark("demo_probe")
    scores = torch.tensor([[0.9, 0.1], [0.5, 0.2], [0.4, 0.9], [0.6, 0.3]])
    truth = torch.tensor([[1.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    found = module.accuracies(("smile", "nod"), scores, truth)
    assert found == {"smile": 0.5, "nod": 0.75}
    assert module.finite((0.5, float("nan"))) == [0.5, None]


@pytest.mark.slow
def test_demo_probe__runs(tmp_path, run_benchmark, read_result):
    model = create_marlin("marlin_vit_tiny", img_size=32)
    model.save_pretrained(tmp_path / "model")
    places = ("--work", tmp_path / "work", "--results", tmp_path)
    run_benchmark(
        "demo_probe", tmp_path / "model", *places, "--clips", 6, "--name", "again"
    )
    result = read_result(tmp_path, "again")
    assert result["suite"] == "again"
    assert result["model"] == {"name": "marlin_vit_tiny", "img_size": 32}
    assert set(result["rows"]) == {"weights 0", "random", "pixels"}
    assert set(result["rows"]["pixels"]) == {"exact"}
    for probe in ("exact", "grid"):
        numbers = result["rows"]["weights 0"][probe]
        assert len(numbers["over random"]["interval"]) == 2
        labels = [numbers[name] for name in ("talking", "smile", "brow", "nod")]
        mean = sum(label["value"] for label in labels) / 4
        assert numbers["accuracy/mean"]["value"] == pytest.approx(mean)
        for label in labels:
            low, high = label["interval"]
            assert 0 <= low <= label["value"] <= high <= 1
            assert label["constant"] < 0.8
