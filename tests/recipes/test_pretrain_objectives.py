"""Pretraining with other objectives from end to end, on three short demo clips."""

import csv

import pytest
import torch

from lightly_marlin.models import Marlin

SIZES = ("--model", "marlin_vit_tiny", "--image-size", 64, "--workers", 0)
ALL = (
    "pixels=1",
    "adversarial=0.01",
    "latent=0.1",
    "instance=0.1",
    "histograms=0.1",
    "visible_histograms=0.1",
    "contrast=0.1",
)


@pytest.fixture
def train(tiny_store, pretrain_marlin):
    def run(out, *options):
        fixed = ("--store", tiny_store, *SIZES, "--batch-size", 2, "--log-every", 1)
        return pretrain_marlin(*fixed, "--out", out, *options)

    return run


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def saved(out):
    path = out / "checkpoints" / "last.ckpt"
    return torch.load(path, weights_only=True)["state_dict"]


def test_pretrain_marlin__every_objective_resumes_bit_for_bit(train, tmp_path):
    options = ("--objectives", *ALL, "--schedule-steps", 4, "--gradients-every", 2)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train(whole, *options, "--max-steps", 4) == 0
    assert train(parts, *options, "--max-steps", 2) == 0
    assert train(parts, "--resume", "--max-steps", 4) == 0
    expected, got = saved(whole), saved(parts)
    assert expected.keys() == got.keys()
    assert all(torch.equal(expected[name], got[name]) for name in expected)
    # The teacher and the target's projector have moved, behind the student.
    weight = "blocks.0.attn.qkv.weight"
    student, teacher = f"model.encoder.{weight}", f"teacher.module.{weight}"
    assert not torch.equal(got[student], got[teacher])
    assert torch.equal(got["model.encoder.pos_embed"], got["teacher.module.pos_embed"])
    names = ("reconstruction", "generator_adversarial", "discriminator")
    others = ("latent", "instance", "histograms", "visible_histograms", "contrast")
    assert list(rows(parts / "metrics.csv")[0]) == [
        "step",
        *(f"loss/{name}" for name in (*names, *others)),
        "lr",
        "clips_per_second",
    ]
    assert [row["loss/latent"] for row in rows(parts / "metrics.csv")] == [
        row["loss/latent"] for row in rows(whole / "metrics.csv")
    ]
    gradients = rows(parts / "gradients.csv")
    assert [row["step"] for row in gradients] == ["2", "4"]
    assert list(gradients[0])[1:] == [
        f"gradient_norm/{pair.partition('=')[0]}" for pair in ALL
    ]
    assert all(float(value) > 0 for value in list(gradients[-1].values())[1:])


def test_pretrain_marlin__gradients_leave_the_training_as_it_is(train, tmp_path):
    options = ("--objectives", "pixels=1", "latent=0.1", "--max-steps", 2)
    assert train(tmp_path / "a", *options) == 0
    assert train(tmp_path / "b", *options, "--gradients-every", 1) == 0
    first, second = saved(tmp_path / "a"), saved(tmp_path / "b")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_pretrain_marlin__latent_alone(train, tmp_path, capsys):
    options = ("--objectives", "latent=1", "--mask", "multiblock", "--max-steps", 2)
    assert train(tmp_path, *options, "--export-teacher") == 0
    assert "step 2/2, latent " in capsys.readouterr().out
    # Nothing is reconstructed, so there is nothing to validate or to draw.
    assert not (tmp_path / "validation.csv").exists()
    state = saved(tmp_path)
    encoder = Marlin.from_pretrained(tmp_path / "model").encoder.state_dict()
    for name, weight in encoder.items():
        assert torch.equal(weight, state[f"teacher.module.{name}"])


def test_pretrain_marlin__histograms_alone(train, tmp_path, capsys):
    options = ("--objectives", "histograms=0.5", "visible_histograms=1")
    assert train(tmp_path, *options, "--max-steps", 2) == 0
    assert "step 2/2, histograms " in capsys.readouterr().out
    assert not (tmp_path / "validation.csv").exists()
    trained = rows(tmp_path / "metrics.csv")[-1]
    for name in ("histograms", "visible_histograms"):
        assert float(trained[f"loss/{name}"]) > 0
    Marlin.from_pretrained(tmp_path / "model")


def test_pretrain_marlin__resume_with_other_objectives(train, tmp_path, capsys):
    """Columns would be missing in the tables; weights may change."""
    options = ("--objectives", "pixels=1", "latent=0.1", "--gradients-every", 1)
    assert train(tmp_path, *options, "--max-steps", 1) == 0
    more = ("--resume", "--max-steps", 2, "--objectives", "pixels=1", "latent=0.2")
    assert train(tmp_path, *more, "instance=0.1") == 2
    message = "has the objectives pixels, latent, not pixels, latent, instance"
    assert message in capsys.readouterr().err
    assert train(tmp_path, *more) == 0
    assert [row["step"] for row in rows(tmp_path / "gradients.csv")] == ["1", "2"]


def test_pretrain_marlin__meters_are_of_what_is_exported(train, tmp_path):
    """A teacher that stands still has the same features at every step."""
    still = ("--teacher-momentum", 1, "--base-learning-rate", 1, "--warmup-steps", 0)
    options = (*still, "--objectives", "latent=1", "--meters-every", 1)
    assert train(tmp_path / "a", *options, "--max-steps", 1) == 0
    exported = ("--export-teacher", "--max-steps", 1)
    assert train(tmp_path / "b", *options, *exported) == 0
    student, teacher = (rows(tmp_path / name / "meters.csv") for name in "ab")
    assert student[0]["feature_std"] != student[1]["feature_std"]
    assert teacher[0]["feature_std"] == teacher[1]["feature_std"]


@pytest.mark.parametrize("objective", ["norm_pixels", "motion"])
def test_pretrain_marlin__other_targets_are_drawn_as_pixels(
    train, tmp_path, objective, capsys
):
    options = ("--objectives", f"{objective}=1", "adversarial=0.01")
    assert train(tmp_path, *options, "--max-steps", 2, "--validate-every", 2) == 0
    (row,) = rows(tmp_path / "validation.csv")
    # A prediction near 0 stands for the true mean of each token, or its first frame's.
    assert float(row["loss/reconstruction"]) > 0
    # So the mean colour of the clip is no baseline.
    assert list(row) == ["step", "loss/reconstruction"]
    trained = rows(tmp_path / "metrics.csv")[-1]
    assert float(trained["loss/reconstruction"]) == 0
    # Normalised pixels have a variance of 1.
    assert float(trained[f"loss/{objective}"]) > 0.3
    assert f"step 2/2, {objective} " in capsys.readouterr().out
    assert (tmp_path / "reconstructions" / "step_0000002.png").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--objectives", "latent"), "Invalid objective 'latent': write NAME=WEIGHT"),
        (("--objectives", "pixels=1", "motion=1"), "exclude each other"),
        (("--objectives",), "--objectives"),
        (("--export-teacher",), "--export-teacher needs an objective with a teacher"),
        (
            ("--objectives", "contrast=1", "--batch-size", 8),
            "groups",
        ),
    ],
)
def test_pretrain_marlin__bad_objectives(train, tmp_path, capsys, options, message):
    assert train(tmp_path / "run", *options, "--max-steps", 1) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
