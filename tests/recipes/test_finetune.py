"""Fine-tuning and prediction from end to end, on six short demo clips."""

import csv
import json

import pytest
import torch

from lightly_marlin.demo import write_demo_videos
from lightly_marlin.evaluation import Result
from lightly_marlin.models import load_encoder
from lightly_marlin.utils.console import run_recipe

SIDES = ("train", "train", "train", "val", "test", "test")


def _runner(load_recipe, name):
    module = load_recipe(name)

    def run(*arguments):
        return run_recipe(lambda: module.main([str(x) for x in arguments]))

    return run


@pytest.fixture(scope="module")
def finetune(load_recipe):
    run = _runner(load_recipe, "finetune")
    tiny = ("--model", "marlin_vit_tiny", "--batch-size", 2, "--workers", 0)
    return lambda *arguments: run(*arguments, *tiny)


@pytest.fixture(scope="module")
def predict(load_recipe):
    return _runner(load_recipe, "predict")


@pytest.fixture
def labels(tmp_path):
    path = tmp_path / "labels.csv"
    rows = [f"demo_{n:02d}.mp4,{n % 2},{side}" for n, side in enumerate(SIDES)]
    path.write_text("\n".join(["video,smile,split", *rows]))
    return path


def _weights(folder):
    return load_encoder(folder).state_dict()


def test_finetune_and_predict(finetune, predict, labels, six_store, tmp_path, capsys):
    out = tmp_path / "tuned"
    assert finetune(labels, "--store", six_store, "--epochs", 2, "--out", out) == 0
    assert "constant" in capsys.readouterr().out
    result = Result.load(out)
    assert sorted(result.predictions.items) == ["demo_04.mp4", "demo_05.mp4"]
    with (out / "metrics.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 2
    assert "smile" in (out / "model" / "README.md").read_text()
    assert json.loads((out / "model" / "config.json").read_text())
    write_demo_videos(tmp_path / "videos", num_clips=1, num_frames=40)
    (tmp_path / "videos" / "broken.mp4").write_bytes(b"no video")
    arguments = (tmp_path / "videos", tmp_path / "said", "--model", out / "model")
    assert predict(*arguments, "--overlay") == 0
    with (tmp_path / "said" / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["video"] for row in rows} == {"demo_00.mp4"}
    assert all(0 <= float(row["smile"]) <= 1 for row in rows)
    with (tmp_path / "said" / "videos.csv").open(newline="") as file:
        videos = {row["video"]: row["status"] for row in csv.DictReader(file)}
    assert videos == {"demo_00.mp4": "ok", "broken.mp4": "failed"}
    assert (tmp_path / "said" / "overlay" / "demo_00.mp4").stat().st_size > 1000


def test_resumed_equals_uninterrupted(
    finetune, labels, six_store, tmp_path, load_recipe
):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    arguments = (labels, "--store", six_store, "--epochs", 2)
    assert finetune(*arguments, "--out", whole) == 0

    class KilledError(Exception):
        pass

    module = load_recipe("finetune")
    from lightly_marlin.evaluation.finetune import Finetune

    original = Finetune.on_train_epoch_start

    def stop(self):
        if self.current_epoch == 1:
            raise KilledError
        original(self)

    more = ("--model", "marlin_vit_tiny", "--batch-size", 2, "--workers", 0)
    command = [str(x) for x in (*arguments, *more, "--out", parts)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Finetune, "on_train_epoch_start", stop)
        with pytest.raises(KilledError):
            module.main(command)
    assert finetune(*arguments, "--out", parts, "--resume") == 0
    first, second = _weights(whole / "model"), _weights(parts / "model")
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert Result.load(whole).metrics == pytest.approx(
        Result.load(parts).metrics, nan_ok=True
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["LABELS", "--store", "STORE", "--weights", "nowhere.pt"], "nowhere.pt"),
        (["LABELS", "--store", "STORE", "--column", "sad"], "sad"),
        (["LABELS", "--store", "STORE", "--epochs", "0"], "epochs"),
        (["LABELS"], "--store"),
    ],
)
def test_finetune__mistakes(finetune, labels, six_store, capsys, arguments, message):
    places = {"LABELS": labels, "STORE": six_store}
    arguments = [places.get(text, text) for text in arguments]
    assert finetune(*arguments, "--out", "out") == 2
    assert message in capsys.readouterr().err


def test_predict__model_without_a_head(predict, tmp_path, capsys):
    from lightly_marlin.models import create_marlin

    create_marlin("marlin_vit_tiny").save_pretrained(tmp_path / "model")
    write_demo_videos(tmp_path / "videos", num_clips=1, num_frames=2)
    arguments = (tmp_path / "videos", tmp_path / "out", "--model", tmp_path / "model")
    assert predict(*arguments) == 2
    assert "finetune.py" in capsys.readouterr().err
