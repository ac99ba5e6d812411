"""Training of a sync expert from the command line: a whole run, resumed alike."""

import csv

import pytest
import torch

from lightly_marlin.demo import demo_store
from lightly_marlin.lip_sync import SyncExpert
from lightly_marlin.utils.console import run_recipe

QUICK = ("--batch-size", 4, "--log-every", 1, "--pairs-per-track", 2)
WHOLE = ("--width", 1, "--max-steps", 4, "--validate-every", 2)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("talking") / "store"
    return demo_store(path, num_clips=3, num_frames=32, audio=True).path


@pytest.fixture(scope="module")
def train(load_recipe, store):
    module = load_recipe("train_sync_expert")

    def run(*options, store=store):
        options = ("--store", store, *QUICK, *options)
        return run_recipe(lambda: module.main([str(x) for x in options]))

    return run


@pytest.fixture(scope="module")
def trained(train, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "out"
    assert train("--out", out, *WHOLE) == 0
    return out


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def weights(out):
    return SyncExpert.from_pretrained(out / "expert").state_dict()


def test_train__leaves_a_whole_run(trained):
    metrics = rows(trained / "metrics.csv")
    columns = ["step", "loss", "accuracy", "lr", "clips_per_second"]
    assert list(metrics[0]) == columns
    assert [row["step"] for row in metrics] == ["1", "2", "3", "4"]
    rates = [float(row["lr"]) for row in metrics]
    assert rates[0] == pytest.approx(1e-4)
    assert rates == sorted(rates, reverse=True)
    validation = rows(trained / "validation.csv")
    assert [row["step"] for row in validation] == ["2", "4"]
    assert 0 < float(validation[-1]["loss"]) < 14
    for name in ("curves.png", "offsets.png", "config.yaml", "checkpoints/last.ckpt"):
        assert (trained / name).is_file()
    assert SyncExpert.from_pretrained(trained / "expert").num_frames == 5


def test_train__resumes_to_the_same_end(trained, train, tmp_path, monkeypatch, capsys):
    """A training that dies in its third step, and is run again with workers."""
    from lightly_marlin.lip_sync import SyncTraining

    step = SyncTraining.training_step

    def dies(self, batch, number):
        if self.trainer.global_step == 2:
            raise KeyboardInterrupt
        return step(self, batch, number)

    options = ("--out", tmp_path / "out", *WHOLE)
    with monkeypatch.context() as patch:
        patch.setattr(SyncTraining, "training_step", dies)
        with pytest.raises(SystemExit):
            train(*options, "--save-every", 1)
    assert not (tmp_path / "out" / "curves.png").exists()
    assert train(*options, "--resume", "--workers", 1) == 0
    wanted = weights(trained)
    for name, value in weights(tmp_path / "out").items():
        assert torch.equal(value, wanted[name]), name
    for name in ("metrics.csv", "validation.csv"):
        found = [
            (row["step"], row["loss"], row["accuracy"])
            for row in rows(tmp_path / "out" / name)
        ]
        assert found == [
            (row["step"], row["loss"], row["accuracy"]) for row in rows(trained / name)
        ]
    said = capsys.readouterr().out
    assert "0.693" in said
    assert "A loss above 0.25 is of little use" in " ".join(said.split())


def test_train__goes_on_from_an_expert(trained, train, tmp_path):
    options = ("--weights", trained / "expert", "--learning-rate", 0)
    assert train("--out", tmp_path / "out", "--max-steps", 1, *options) == 0
    before, after = weights(trained), weights(tmp_path / "out")
    name = next(name for name in before if name.endswith("weight"))
    assert torch.equal(before[name], after[name])


def test_train__mistakes_are_one_line(trained, train, tmp_path, capsys):
    mute = demo_store(tmp_path / "mute", num_clips=1, num_frames=24).path
    out = ("--out", tmp_path / "out", "--max-steps", 1)
    expert = trained / "expert"
    for options, line in (
        (("--out", trained), "holds a run already"),
        (
            ("--out", trained, *WHOLE, "--resume", "--seed", 3),
            "begun with --seed 0, not 3",
        ),
        ((*out, "--frames", 16, "--weights", expert), "sees 5 frames, not 16"),
        ((*out, "--width", 2, "--weights", expert), "--width is that of --weights"),
        ((*out, "--weights", tmp_path), "holds no config.json"),
        ((*out, "--frames", 40), "it has 32 frames at 25 per second; 42 are needed"),
        ((*out, "--batch-size", 3), "Invalid batch_size 3: must be even"),
        ((*out, "--store", mute), "it has no sound. Prepare videos with sound"),
    ):
        assert train(*options) == 2
        (error,) = capsys.readouterr().err.splitlines()
        assert line in error
    assert not (tmp_path / "out" / "config.yaml").exists()
