"""Synthetic fakes: faces pasted, in the tree of FaceForensics++, and detected."""

import functools
import importlib.util
import json
import shutil
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from lightly_marlin.evaluation.tasks import load_task
from lightly_marlin.models import MarlinConfig, MarlinEncoder
from lightly_marlin.utils.console import run_recipe
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.video import iter_frames, write_video

BENCHMARKS = Path(__file__).parents[2] / "recipes" / "benchmarks"

METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")


@pytest.fixture(scope="module")
def fakes():
    sys.path.insert(0, str(BENCHMARKS))
    path = BENCHMARKS / "synthetic_fakes.py"
    spec = importlib.util.spec_from_file_location("synthetic_fakes", path)
    module = importlib.util.module_from_spec(spec)
    # Data classes look their module up while it is executed.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def demo_tree(fakes, tmp_path_factory):
    out = tmp_path_factory.mktemp("fakes") / "tree"
    return fakes.demo_fakes(
        out, num_videos=7, num_frames=16, methods=("Deepfakes", "FaceSwap")
    )


def face():
    """Frames of stripes, and 68 landmarks on an ellipse in their middle, with eyes."""
    angles = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    points = np.array([100, 80]) + [30, 40] * ring
    points[36:42] = np.array([85, 70]) + ring[::12]
    points[42:48] = np.array([115, 70]) + ring[::12]
    # The mouth, which is a region of its own.
    points[48:] = np.array([100, 100]) + [15, 6] * ring[::3][:20]
    stripes = 128 + 60 * np.sin(np.arange(200) / 2)
    frame = np.broadcast_to(stripes[None, :, None], (160, 200, 3)).astype(np.uint8)
    return np.stack([frame] * 5), np.stack([points] * 5).astype(np.float32)


@pytest.mark.parametrize("name", METHODS)
def test_fake_frames__change_the_face_alone(fakes, name):
    frames, landmarks = face()
    before = frames.copy()
    generator = np.random.default_rng(1)
    fake = fakes.fake_frames(frames, landmarks, fakes.METHODS[name], generator)
    assert fake.shape == frames.shape
    assert fake.dtype == np.uint8
    np.testing.assert_array_equal(frames, before)
    change = np.abs(fake.astype(int) - frames).max(axis=(0, 3))
    assert change[:25].max() == change[:, :50].max() == change[:, 150:].max() == 0
    assert (change > 3).mean() > 0.02
    # Mild: the face stays what it was.
    assert np.abs(fake.astype(int) - frames).mean() < 12


def test_fake_frames__of_one_seed_are_equal(fakes):
    frames, landmarks = face()
    method = fakes.METHODS["Face2Face"]
    one, same, other = (
        fakes.fake_frames(frames, landmarks, method, np.random.default_rng(seed))
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_fake_frames__without_strength_change_nothing(fakes):
    frames, landmarks = face()
    still = type(fakes.METHODS["FaceSwap"])((0, 68), 1.0, 0, 0, 0, 1e-3, 0.1)
    fake = fakes.fake_frames(frames, landmarks, still, np.random.default_rng(0))
    assert np.abs(fake.astype(int) - frames).max() <= 1


def test_demo_fakes__are_read_by_the_task(demo_tree):
    for compression in ("c23", "c40"):
        table = load_task(
            "faceforensics",
            demo_tree,
            compression=compression,
            methods=("Deepfakes", "FaceSwap"),
        )
        # 7 videos make 3 pairs, each with 2 reals and 4 fakes.
        assert Counter(table.splits) == {"train": 6, "val": 6, "test": 6}
        assert all((demo_tree / video).is_file() for video in table.videos)
        assert table.shared_groups() == 0
        assert len(table.notes) == 1


def test_demo_fakes__differ_from_their_reals_by_less_than_two_videos(demo_tree):
    def first(path):
        return next(iter_frames(demo_tree / path)).astype(int)

    folder = "manipulated_sequences/Deepfakes/c23/videos"
    fake = sorted((demo_tree / folder).iterdir())[0]
    a, b = fake.stem.split("_")
    reals = "original_sequences/youtube/c23/videos"
    own = np.abs(first(fake) - first(f"{reals}/{a}.mp4")).mean()
    other = np.abs(first(fake) - first(f"{reals}/{b}.mp4")).mean()
    assert 0.2 < own < other / 4


def test_demo_fakes__of_one_seed_are_equal(fakes, tmp_path):
    trees = []
    for name in ("a", "b"):
        options = {"num_videos": 6, "num_frames": 16, "methods": ("FaceSwap",)}
        tree = fakes.demo_fakes(tmp_path / name, **options)
        files = [path for path in tree.rglob("*") if path.is_file()]
        trees.append({path.relative_to(tree): path.read_bytes() for path in files})
    assert trees[0] == trees[1]


def test_demo_fakes__c40_is_smaller(demo_tree):
    sizes = {
        name: sum(path.stat().st_size for path in demo_tree.rglob(f"{name}/*/*.mp4"))
        for name in ("c23", "c40")
    }
    assert sizes["c40"] < sizes["c23"] / 2


def test_demo_fakes__name_their_sources(demo_tree):
    sources = json.loads((demo_tree / "sources.json").read_text())
    assert list(sources) == [f"{number:03}" for number in range(6)]
    assert set(sources.values()) < {f"demo_{number:02}" for number in range(7)}


def test_people__of_one_embedding_stay_in_one_split(fakes, monkeypatch):
    people = [0, 1, 0, 2, 3, 3, 4, 5, 1, 6, 7, 0]
    vectors = iter(10 * np.eye(8)[people])
    monkeypatch.setattr(fakes._Real, "embedding", lambda real: next(vectors))
    groups = fakes._people([fakes._Real("", None, None, 25.0)] * len(people))
    splits = fakes._split(len(people), groups, seed=0)
    sides = {
        (people[index], split) for split, chosen in splits.items() for index in chosen
    }
    assert len(sides) == len({person for person, _ in sides})
    assert all(len(chosen) in (2, 4, 6, 8) for chosen in splits.values())


def test_main__too_few_faces(fakes, tmp_path, make_frames, capsys):
    (tmp_path / "videos").mkdir()
    write_video(tmp_path / "videos" / "a.mp4", make_frames(17))
    command = [str(tmp_path / "videos"), str(tmp_path / "out")]
    assert run_recipe(lambda: fakes.main(command)) == 2
    captured = capsys.readouterr()
    assert "a.mp4: no face of 16 frames" in captured.out
    assert "has 0 videos with a face" in captured.err
    assert not (tmp_path / "out").exists()


def test_make_fakes__refuses(fakes, tmp_path):
    with pytest.raises(UsageError, match="Invalid methods Magic"):
        fakes.make_fakes(tmp_path, tmp_path / "out", methods=["Magic"])
    with pytest.raises(UsageError, match="Invalid frames 15"):
        fakes.make_fakes(tmp_path, tmp_path / "out", num_frames=15)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="holds something already"):
        fakes.make_fakes(tmp_path, tmp_path)


@pytest.fixture
def detection(fakes, monkeypatch):
    """The benchmark, with fakes that are quickly made, and its main function."""
    monkeypatch.delitem(sys.modules, "fake_detection", raising=False)
    import fake_detection

    quick = functools.partial(fakes.demo_fakes, num_frames=16)
    monkeypatch.setattr(fake_detection, "demo_fakes", quick)
    monkeypatch.setattr(fake_detection, "QUALITIES", (95,))

    def run(*options):
        command = ["fake_detection.py", *map(str, options)]
        monkeypatch.setattr(sys, "argv", command)
        fake_detection.main()

    fake_detection.run = run
    return fake_detection


def read_only_result(folder):
    (path,) = folder.glob("fake_detection-*.json")
    return json.loads(path.read_text())


@pytest.fixture
def run_folder(tmp_path):
    """What a pretraining of 20 steps leaves of an encoder that is small."""
    torch.manual_seed(0)
    config = MarlinConfig(
        img_size=32, encoder_dim=24, encoder_depth=2, encoder_num_heads=2
    )
    folder = tmp_path / "run"
    MarlinEncoder(config).save_pretrained(folder / "model")
    (folder / "config.yaml").write_text(
        "model: marlin_vit_tiny\nmask: tube\nimage_size: 32\n"
    )
    columns = "step,loss/reconstruction,loss/mean_color,ratio"
    (folder / "validation.csv").write_text(f"{columns}\n0,1,1,1\n20,1,1,1\n")
    return folder


@pytest.mark.slow
def test_fake_detection__probes_and_fine_tunes(detection, run_folder, tmp_path):
    places = ("--work", tmp_path / "work", "--results", tmp_path / "results")
    model = ("--weights", run_folder / "model", "--image-size", 32)
    detection.run(*places, *model, "--clips", 6, "--epochs", 1)
    result = read_only_result(tmp_path / "results")
    about = {"image_size": 32, "mask": "tube", "steps": 20}
    about["objectives"] = {"pixels": 1.0, "adversarial": 0.01}
    assert result["weights"] == {"model": "marlin_vit_tiny", **about}
    assert result["clips"] == 6
    assert result["fine_tuning"]["epochs"] == 1
    assert set(result["fine-tuned"]) == {"pretrained", "random"}
    heads = {"pretrained", "random", "pixels", "pretrained, grid", "random, grid"}
    assert set(result["probe"]) == heads
    for numbers in (*result["probe"].values(), *result["fine-tuned"].values()):
        row = numbers["95"]
        # A pair has 2 reals and 8 fakes.
        assert (row["videos"], row["pairs"]) == (10, 1)
        assert 0 <= row["auc/flat"]["value"] <= 1
        assert row["auc/flat"]["interval"] == [None, None]
        assert row["auc/flat"]["constant"] == 0.5
    assert detection.make_table(result).row_count == 7

    # Without fine-tuning, its settings are none of the result's. What is there is kept.
    shutil.rmtree(tmp_path / "results")
    detection.run(*places, *model, "--clips", 6, "--probe-only")
    again = read_only_result(tmp_path / "results")
    assert again["probe"] == result["probe"]
    assert again["fine-tuned"] == {}
    assert "fine_tuning" not in again


def test_fake_detection__other_fakes_need_another_folder(
    detection, tmp_path, monkeypatch
):
    made = []
    monkeypatch.setattr(detection, "prepare", lambda *options: made.append(0) or {})
    options = ("--work", tmp_path, "--weights", "none", "--probe-only")
    with pytest.raises(FileNotFoundError):
        detection.run(*options, "--clips", 8)
    assert made == [0]
    with pytest.raises(SystemExit, match="fakes of 8 demo clips, not of 9 demo clips"):
        detection.run(*options, "--clips", 9)
    with pytest.raises(SystemExit, match=r"not of .*videos\. Choose another --work"):
        detection.run(*options, "--videos", tmp_path / "videos")
    assert made == [0]


def test_fake_detection__weights_without_a_run(detection, run_folder):
    facts = {"name": "marlin_vit_tiny", "img_size": 112}
    other = run_folder / "weights.pt"
    for path in (other, "owner/name"):
        assert detection.about_weights(str(path), facts) == {
            "model": "marlin_vit_tiny",
            "image_size": 112,
            "objectives": None,
            "mask": None,
            "steps": None,
        }
