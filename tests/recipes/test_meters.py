"""`pretrain_marlin.py --meters-every`: its rows, and that it changes nothing."""

import csv

import pytest
import torch

from lightly_marlin.evaluation import TrackClips
from lightly_marlin.evaluation.feature_meters import METERS_COLUMNS
from lightly_marlin.training.run_data import RunData
from lightly_marlin.training.run_folder import RunFolder

OPTIONS = ("--model", "marlin_vit_tiny", "--batch-size", 2, "--workers", 0)
OPTIONS += ("--logger", "none", "--log-every", 1, "--image-size", 64)


@pytest.fixture
def pretrain(pretrain_marlin, six_store):
    return lambda out, *more: pretrain_marlin(
        "--store", six_store, *OPTIONS, "--out", out, *more
    )


def _rows(out):
    with RunFolder(out).meters.open(newline="") as file:
        return list(csv.DictReader(file))


def test_training_is_bit_identical_and_resumes(pretrain, tmp_path, capsys):
    meters = ("--meters-every", 2, "--meters-tracks", 3)
    plain, metered, resumed = (tmp_path / n for n in ("plain", "metered", "resumed"))
    assert pretrain(plain, "--max-steps", 3) == 0
    assert not RunFolder(plain).meters.exists()
    assert pretrain(metered, "--max-steps", 3, *meters) == 0
    assert "meters are of training tracks" in capsys.readouterr().out.replace("\n", " ")
    assert pretrain(resumed, "--max-steps", 1, *meters) == 0
    assert pretrain(resumed, "--max-steps", 3, "--resume") == 0
    first, *others = (
        torch.load(RunFolder(out).checkpoint, weights_only=True)["state_dict"]
        for out in (plain, metered, resumed)
    )
    for other in others:
        assert all(torch.equal(first[name], other[name]) for name in first)
    rows = _rows(metered)
    assert tuple(rows[0]) == METERS_COLUMNS
    assert [row["step"] for row in rows] == ["0", "2", "3"]
    # Step 1 was the last of the first part.
    assert [row["step"] for row in _rows(resumed)] == ["0", "1", "2", "3"]
    assert _rows(resumed)[-1] == rows[-1]
    # One of the six videos is held out, and one clip is no track to compare with.
    assert (rows[0]["tracks"], rows[0]["clips"]) == ("3", "6")


@pytest.mark.parametrize(("held_out", "expected"), [(8, 8), (7, 5)])
def test_meters__held_out_tracks_if_they_are_enough(
    load_recipe, six_store, tmp_path, monkeypatch, held_out, expected
):
    recipe = load_recipe("pretrain_marlin")
    seen = []

    def note(store, *, tracks, **options):
        seen.append((len(tracks), options["max_tracks"], options["stride"]))
        return TrackClips(store)

    monkeypatch.setattr("lightly_marlin.evaluation.track_clips.TrackClips", note)
    encoder = recipe_encoder()
    settings = recipe.PretrainSettings(meters_every=1, meters_tracks=9, stride=3)
    folder = RunFolder(tmp_path)
    data = RunData(None, six_store, ["a"] * 5, ["b"] * held_out)
    recipe.make_meters(settings, folder, encoder, data)
    assert seen == [(expected, 9, 3)]


def recipe_encoder():
    from lightly_marlin.models import create_marlin_encoder

    return create_marlin_encoder("marlin_vit_tiny")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--meters-every", "-1"], "Invalid meters_every -1: must be 0 or more"),
        (["--meters-every", 1, "--meters-tracks", 1], "Invalid meters_tracks 1: must"),
    ],
)
def test_options__mistakes(pretrain, tmp_path, capsys, options, message):
    assert pretrain(tmp_path / "run", "--max-steps", 1, *options) == 2
    assert message in capsys.readouterr().err


def test_meters__tracks_that_are_too_short(pretrain_marlin, tmp_path, capsys):
    """Demo clips of 16 frames hold one clip each; nothing is left behind."""
    out = tmp_path / "run"
    options = ("--demo-clips", 2, "--demo-frames", 16, "--meters-every", 1)
    assert pretrain_marlin(*OPTIONS, "--out", out, "--max-steps", 1, *options) == 2
    assert "tracks of at least 17 frames" in capsys.readouterr().err
    assert not (out / "config.yaml").exists()
