"""The online probe writes its rows and leaves the training as it is."""

import csv
import random

import numpy as np
import pytest
import torch

from lightly_marlin.evaluation.labels.reading import read_labels
from lightly_marlin.evaluation.online_probe import PROBE_COLUMNS, OnlineProbe
from lightly_marlin.models import create_marlin_encoder
from lightly_marlin.store import FaceStore
from lightly_marlin.training.run_folder import RunFolder
from lightly_marlin.utils.console import run_recipe


@pytest.fixture
def data(six_store, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "store").symlink_to(six_store, target_is_directory=True)
    rows = [f"demo_{n:02d}.mp4,{n % 2}" for n in range(6)]
    (folder / "labels.csv").write_text("\n".join(["video,smile", *rows]))
    return folder


@pytest.fixture
def pretrain(load_recipe, data):
    module = load_recipe("pretrain_marlin")

    def run(out, *more):
        arguments = ["--store", data / "store", "--model", "marlin_vit_tiny"]
        arguments += ["--batch-size", 2, "--workers", 0, "--logger", "none"]
        arguments += ["--image-size", 64, "--log-every", 1, "--out", out, *more]
        return run_recipe(lambda: module.main([str(x) for x in arguments]))

    return run


def _rows(out):
    with RunFolder(out).probe.open(newline="") as file:
        return list(csv.DictReader(file))


def _generator_states():
    legacy = np.random.get_state()[1]  # noqa: NPY002 (what others may draw from)
    return torch.get_rng_state().tolist(), random.getstate(), legacy.tolist()


def test_training_is_bit_identical_and_resumes(pretrain, data, tmp_path):
    probe = ("--probe", data / "labels.csv", "--probe-every", 2)
    plain, probed, resumed = (tmp_path / n for n in ("plain", "probed", "resumed"))
    assert pretrain(plain, "--max-steps", 4) == 0
    assert pretrain(probed, "--max-steps", 4, *probe) == 0
    assert pretrain(resumed, "--max-steps", 3, *probe) == 0
    assert pretrain(resumed, "--max-steps", 4, "--resume") == 0
    first, *others = (
        torch.load(RunFolder(out).checkpoint, weights_only=True)["state_dict"]
        for out in (plain, probed, resumed)
    )
    for other in others:
        assert all(torch.equal(first[name], other[name]) for name in first)
    losses = [
        [row.rsplit(",", 1)[0] for row in RunFolder(out).metrics.read_text().split()]
        for out in (plain, probed)
    ]
    assert losses[0] == losses[1]
    rows = _rows(probed)
    assert [row["step"] for row in rows] == ["0", "2", "4"]
    assert tuple(rows[0]) == PROBE_COLUMNS
    # Step 3 was the last of the first part.
    assert [row["step"] for row in _rows(resumed)] == ["0", "2", "3", "4"]
    assert _rows(resumed)[-1] == rows[-1]


def test_measure__leaves_modes_and_generators(data, tmp_path):
    encoder = create_marlin_encoder("marlin_vit_tiny", img_size=64).train()
    encoder.blocks[0].eval()
    table = read_labels(data / "labels.csv")
    store = FaceStore(data / "store")
    probe = OnlineProbe(tmp_path / "probe.csv", encoder, table, store, every=1)
    states = _generator_states()
    row = probe.measure()
    assert states == _generator_states()
    assert encoder.training
    assert not encoder.blocks[0].training
    assert 1 <= row["rankme"] <= 6
    assert row == probe.measure()


def test_measure__weights_that_diverged(data, tmp_path):
    """The probe does not end a training that its user would rather look at."""
    encoder = create_marlin_encoder("marlin_vit_tiny", img_size=64)
    encoder.norm.weight.data[0] = float("nan")
    table, store = read_labels(data / "labels.csv"), FaceStore(data / "store")
    probe = OnlineProbe(tmp_path / "probe.csv", encoder, table, store, every=1)
    row = probe.measure()
    assert tuple(row) == PROBE_COLUMNS[1:]
    assert all(np.isnan(value) for value in row.values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--probe-store", "x"], "need --probe"),
        (["--probe", "nowhere.csv"], "nowhere.csv"),
        (["--probe", "LABELS", "--probe-column", "sad"], "sad"),
    ],
)
def test_options__mistakes(pretrain, data, tmp_path, capsys, options, message):
    options = [data / "labels.csv" if x == "LABELS" else x for x in options]
    assert pretrain(tmp_path / "run", "--max-steps", 1, *options) == 2
    assert message in capsys.readouterr().err
    # Corrected, the same command starts.
    assert not (tmp_path / "run" / "config.yaml").exists()
