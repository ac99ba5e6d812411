"""Pretraining from end to end, on three short demo clips."""

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lightly_marlin.models import Marlin
from lightly_marlin.store import FaceStore
from lightly_marlin.training.callbacks import METRICS_COLUMNS

RECIPES = Path(__file__).parents[2] / "recipes"

WHOLE_SIZE = ("--model", "marlin_vit_tiny", "--batch-size", "2", "--workers", "0")
TINY = (*WHOLE_SIZE, "--image-size", "64")


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory, tiny_store, pretrain_marlin):
    out = tmp_path_factory.mktemp("runs") / "run"
    options = ("--store", tiny_store, "--out", out, *TINY, "--max-steps", 3)
    assert pretrain_marlin(*options, "--log-every", 1) == 0
    return out


def state(path):
    checkpoint = torch.load(path / "checkpoints" / "last.ckpt", weights_only=True)
    return (
        checkpoint["global_step"],
        checkpoint["state_dict"],
        checkpoint["optimizer_states"],
    )


def assert_equal_states(first, second):
    assert first[0] == second[0]
    assert first[1].keys() == second[1].keys()
    assert all(torch.equal(first[1][name], second[1][name]) for name in first[1])
    for left, right in zip(first[2], second[2], strict=True):
        for key in left["state"]:
            for name, value in left["state"][key].items():
                assert torch.equal(value, right["state"][key][name])


def test_pretrain_marlin__run_folder(run_folder):
    with (run_folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == METRICS_COLUMNS
    assert [row["step"] for row in rows] == ["1", "2", "3"]
    assert all(np.isfinite(float(value)) for row in rows for value in row.values())
    assert (run_folder / "config.yaml").exists()
    assert list((run_folder / "tensorboard").glob("events*"))
    picture = Image.open(run_folder / "reconstructions" / "step_0000003.png")
    assert min(picture.size) > 200


def test_pretrain_marlin__model_loads_and_equals_checkpoint(run_folder):
    model = Marlin.from_pretrained(run_folder / "model")
    _, weights, _ = state(run_folder)
    assert model.config.grid == (8, 4, 4)
    for name, value in model.state_dict().items():
        assert torch.equal(value, weights[f"model.{name}"])


def test_pretrain_marlin__does_not_overwrite_a_run(
    run_folder, tiny_store, pretrain_marlin, capsys
):
    assert pretrain_marlin("--store", tiny_store, "--out", run_folder, *TINY) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "holds a run already. Continue it with --resume" in error


def test_pretrain_marlin__resume_of_another_model(
    run_folder, tiny_store, pretrain_marlin, capsys
):
    options = ("--resume", "--out", run_folder, "--model", "marlin_vit_small")
    assert pretrain_marlin("--store", tiny_store, *options) == 2
    assert "trains marlin_vit_tiny, not marlin_vit_small" in capsys.readouterr().err


def test_pretrain_marlin__resume_with_more_steps(
    run_folder, tiny_store, tmp_path, pretrain_marlin
):
    """Three steps and three more, of clips of the run's size, are the same as six."""
    options = ("--store", tiny_store, *TINY, "--max-steps", 6)
    assert pretrain_marlin(*options, "--out", tmp_path / "six") == 0
    out = tmp_path / "three and three"
    shutil.copytree(run_folder, out)
    assert pretrain_marlin("--resume", "--out", out, "--max-steps", 6) == 0
    assert_equal_states(state(out), state(tmp_path / "six"))


def test_pretrain_marlin__killed_and_resumed(
    tiny_store, tmp_path, pretrain_marlin, kill_when
):
    """A process is killed; another resumes to the same end."""
    options = ("--store", tiny_store, *TINY, "--workers", 1, "--max-steps", 8)
    options = (*options, "--save-every", 2, "--log-every", 1)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert pretrain_marlin(*options, "--out", whole) == 0

    command = (RECIPES / "pretrain_marlin.py", *options, "--out", killed)
    kill_when(command, (killed / "checkpoints" / "last.ckpt").exists)
    assert state(killed)[0] < 8

    assert pretrain_marlin(*options, "--out", killed, "--resume") == 0
    assert_equal_states(state(killed), state(whole))
    metrics = [(run / "metrics.csv").read_text() for run in (killed, whole)]
    losses = [[row.split(",")[:5] for row in text.splitlines()] for text in metrics]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("mask", ["tube", "frame", "random", "crfrp", "motion"])
def test_pretrain_marlin__other_masks(mask, tiny_store, tmp_path, pretrain_marlin):
    options = ("--mask", mask, "--mask-ratio", 0.8, "--max-steps", 1)
    arguments = ("--store", tiny_store, *TINY, *options, "--out", tmp_path / "run")
    assert pretrain_marlin(*arguments) == 0


def test_pretrain_marlin__mixture_and_half_decoder(
    tiny_store, tmp_path, pretrain_marlin
):
    """Training decodes half the tokens; validation and its picture show them all."""
    options = ("--mask", "fasking+tube", "--mask-share-end", 0.0, "--decode-ratio", 0.5)
    options += ("--mask-share", 1.0, "--mask-share-steps", 2, "--max-steps", 1)
    run = ("--store", tiny_store, *WHOLE_SIZE, "--out", tmp_path / "run")
    assert pretrain_marlin(*run, *options) == 0
    text = (tmp_path / "run" / "config.yaml").read_text()
    assert "mask: fasking+tube" in text
    assert "decode_ratio: 0.5" in text
    picture = Image.open(tmp_path / "run" / "reconstructions" / "step_0000001.png")
    masked, painted = (picture.crop((8, y, 1372, y + 224)) for y in (276, 768))
    difference = np.abs(np.asarray(masked, int) - np.asarray(painted, int)).sum(-1)
    assert (difference > 0).mean() > 0.8


def test_pretrain_marlin__augmentation_is_for_training_alone(
    tiny_store, tmp_path, pretrain_marlin
):
    """Weights that stay as they are tell clips apart by their losses."""
    frozen = ("--base-learning-rate", 0, "--min-learning-rate", 0, "--max-steps", 1)
    options = ("--store", tiny_store, *TINY, *frozen)
    augmentation = ("--flip", 1, "--crop-scale", 0.3, "--color", 0.5)
    plain, changed = tmp_path / "plain", tmp_path / "changed"
    assert pretrain_marlin(*options, "--out", plain) == 0
    assert pretrain_marlin(*options, *augmentation, "--out", changed) == 0
    rows = {
        (run, name): (run / name).read_text().splitlines()[1].split(",")
        for run in (plain, changed)
        for name in ("metrics.csv", "validation.csv")
    }
    assert rows[plain, "metrics.csv"][1] != rows[changed, "metrics.csv"][1]
    assert rows[plain, "validation.csv"] == rows[changed, "validation.csv"]


def test_pretrain_marlin__options(tiny_store, tmp_path, pretrain_marlin, run_folder):
    """bf16, a critic with penalty, weights of another run, a settings file."""
    config = tmp_path / "config.yaml"
    config.write_text("mask_mode: tube\ngradient_penalty_weight: 10\nepochs: 2")
    options = ("--precision", "bf16-mixed", "--config", config)
    weights = ("--weights", run_folder / "model")
    arguments = ("--store", tiny_store, *TINY, *options, *weights)
    assert pretrain_marlin(*arguments, "--out", tmp_path / "run", "--max-steps", 1) == 0
    text = (tmp_path / "run" / "config.yaml").read_text()
    assert "mask_mode: tube" in text
    assert "precision: bf16-mixed" in text


def test_pretrain_marlin__limits(tiny_store, tmp_path, pretrain_marlin, capsys):
    """The limits come from a file and the command line, and stay with the run."""
    widths = sorted(FaceStore(tiny_store).column("face_width"))
    config = tmp_path / "config.yaml"
    config.write_text(f"min_face: {widths[1]}\nheld_out: 0")
    options = ("--store", tiny_store, *TINY, "--config", config, "--max-yaw", 80)
    out = ("--out", tmp_path / "run", "--max-steps")
    assert pretrain_marlin(*options, *out, 1) == 0
    assert "2 of 3 tracks are within the limits" in capsys.readouterr().out
    text = (tmp_path / "run" / "config.yaml").read_text()
    assert "max_yaw: 80.0" in text
    assert pretrain_marlin("--resume", *out, 2) == 0
    assert "2 of 3 tracks are within the limits" in capsys.readouterr().out


def test_pretrain_marlin__without_discriminator(tiny_store, tmp_path, pretrain_marlin):
    options = ("--adversarial-weight", 0, "--max-steps", 1, "--out", tmp_path / "run")
    assert pretrain_marlin("--store", tiny_store, *TINY, *options) == 0
    _, weights, _ = state(tmp_path / "run")
    assert not any(name.startswith("discriminator") for name in weights)


@pytest.mark.slow
def test_pretrain_marlin__compiled(tiny_store, tmp_path, pretrain_marlin):
    """The same training within rounding, with the options for GPUs on."""
    options = ["--store", tiny_store, "--model", "marlin_vit_tiny", "--workers", 0]
    options += ["--image-size", 64, "--batch-size", 2, "--max-steps", 2]
    options += ["--warmup-steps", 0, "--adversarial-weight", 0.01]
    options += ["--precision", "tf32", "--clip-gradient", 1, "--weight-decay", 0.05]
    weights = []
    for name, more in (("plain", ()), ("compiled", ("--compile", "--deterministic"))):
        assert pretrain_marlin(*options, *more, "--out", tmp_path / name) == 0
        weights.append(state(tmp_path / name)[1])
    torch.use_deterministic_algorithms(False)
    torch.testing.assert_close(*weights, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "objectives",
    [
        ("pixels=1", "adversarial=0.01"),
        ("pixels=1", "latent=1"),
        ("pixels=1", "adversarial=0.01", "instance=1"),
        ("histograms=0.5", "visible_histograms=1"),
    ],
    ids=["marlin", "latent", "instance", "histograms"],
)
def test_pretrain_marlin__two_processes_equal_one(
    objectives, tiny_store, tmp_path, pretrain_marlin
):
    """Two processes with a clip each average to one process with both clips."""
    options = ["--store", tiny_store, "--model", "marlin_vit_tiny", "--workers", 0]
    options += ["--precision", 32, "--warmup-steps", 2, "--image-size", 64]
    options += ["--objectives", *objectives]
    two = ("--batch-size", 1, "--devices", 2, "--max-steps", 3)
    command = [sys.executable, RECIPES / "pretrain_marlin.py", *options, *two]
    command += ["--out", tmp_path / "two"]
    subprocess.run([str(part) for part in command], check=True, timeout=300)

    options += ["--batch-size", 2]
    # The first step of a warm-up has a learning rate of 0.
    for steps in (1, 3):
        out = tmp_path / f"one{steps}"
        assert pretrain_marlin(*options, "--max-steps", steps, "--out", out) == 0
    before, one, two = (state(tmp_path / run)[1] for run in ("one1", "one3", "two"))
    moved = sum(float((one[name] - before[name]).abs().sum()) for name in one)
    apart = sum(float((one[name] - two[name]).abs().sum()) for name in one)
    assert moved > 0
    assert apart < 0.02 * moved


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--model", "vit"), "Invalid model (vit). Supported values are marlin_vit_t"),
        (("--mask", "cube"), "Invalid mask (cube). Supported values are fasking, tube"),
        (("--mask-ratio", "1.0"), "Invalid mask_ratio 1.0"),
        (("--mask-ratio", "0.9999"), "leaves none of 128 tokens visible"),
        (("--store", "nowhere"), "nowhere"),
        (("--weights", "nowhere.pt"), "nowhere.pt"),
        (("--config", "nowhere.yaml"), "nowhere.yaml cannot be read"),
        (("--devices", "64"), "64 devices"),
        (("--min-face", "5000"), "Of 3 tracks, min_face 5000 removes 3"),
        (("--max-steps", "many"), "invalid int value: 'many'"),
        (("--colour", "red"), "unrecognized arguments: --colour red"),
        (("--cuda-graph",), "--cuda-graph needs a CUDA device"),
        (("--num-nodes", "2"), "--num-nodes 2 needs a process on every node"),
        (("--strategy", "fsdp", "--compile"), "cannot be combined with --compile"),
        (
            ("--strategy", "fsdp", "--objectives", "latent=1", "instance=1"),
            "cannot be combined with the objective latent and instance",
        ),
        (("--strategy", "zero"), "Supported values are auto, ddp, fsdp"),
    ],
)
def test_pretrain_marlin__bad_input(
    options, message, tiny_store, tmp_path, pretrain_marlin, capsys
):
    arguments = ("--store", tiny_store, *TINY, "--out", tmp_path / "run", *options)
    assert pretrain_marlin(*arguments, "--max-steps", 1) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert "Traceback" not in error


def test_pretrain_marlin__checkpoint_that_does_not_fit(
    tiny_store, tmp_path, pretrain_marlin, run_folder, capsys
):
    """The weights of a tiny model do not fit a small one."""
    options = ("--model", "marlin_vit_small", "--weights", run_folder / "model")
    arguments = ("--store", tiny_store, *options, "--out", tmp_path / "run")
    assert pretrain_marlin(*arguments, "--max-steps", 1) == 2
    assert str(run_folder / "model") in capsys.readouterr().err


def test_pretrain_marlin__damaged_checkpoint(
    tmp_path, pretrain_marlin, run_folder, capsys
):
    out = tmp_path / "run"
    shutil.copytree(run_folder, out)
    (out / "checkpoints" / "last.ckpt").write_bytes(b"PK not a checkpoint")
    assert pretrain_marlin("--out", out, "--resume") == 2
    assert "last.ckpt" in capsys.readouterr().err


def test_pretrain_marlin__checkpoint_of_another_training(
    pretrain_marlin, run_folder, capsys
):
    options = ("--out", run_folder, "--resume", "--image-size", 32)
    assert pretrain_marlin(*options) == 2
    error = capsys.readouterr().err
    assert "is of another training" in error
    assert "pos_embed" in error


def test_pretrain_marlin__epochs_come_before_the_files_steps(
    tiny_store, tmp_path, pretrain_marlin
):
    """Two tracks in batches of two: an epoch is one step."""
    options = ("--store", tiny_store, *TINY, "--out", tmp_path / "run")
    assert pretrain_marlin(*options, "--epochs", 2) == 0
    assert state(tmp_path / "run")[0] == 2


def test_pretrain_marlin__resume_needs_no_first_weights(
    tiny_store, tmp_path, pretrain_marlin, run_folder
):
    weights = tmp_path / "weights"
    shutil.copytree(run_folder / "model", weights)
    options = ("--store", tiny_store, *TINY, "--out", tmp_path / "run")
    assert pretrain_marlin(*options, "--weights", weights, "--max-steps", 1) == 0
    shutil.rmtree(weights)
    assert pretrain_marlin(*options, "--resume", "--max-steps", 2) == 0
    assert state(tmp_path / "run")[0] == 2


def test_pretrain_marlin__out_from_a_file(tiny_store, tmp_path, pretrain_marlin):
    config = tmp_path / "config.yaml"
    config.write_text(f"out: {tmp_path / 'run'}")
    options = ("--store", tiny_store, *TINY, "--config", config)
    assert pretrain_marlin(*options, "--max-steps", 1) == 0
    assert pretrain_marlin("--config", config, "--resume", "--max-steps", 2) == 0
    assert state(tmp_path / "run")[0] == 2


def test_pretrain_marlin__damaged_store(tiny_store, tmp_path, pretrain_marlin, capsys):
    store = tmp_path / "store"
    shutil.copytree(tiny_store, store)
    for video in store.glob("tracks/*/*.mov"):
        video.write_bytes(b"damaged")
    options = ("--store", store, *TINY, "--out", tmp_path / "run", "--workers", 1)
    assert pretrain_marlin(*options, "--max-steps", 1) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert str(store) in error
    assert error.count("\n") == 1
