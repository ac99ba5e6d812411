"""Fine-tuning from the command line, and prediction with what it leaves behind."""

import csv
import json
import subprocess
from pathlib import Path

import pytest
import torch
import yaml

from lightly_marlin.evaluation import Result, TunedModel
from lightly_marlin.models import MarlinConfig, MarlinEncoder
from lightly_marlin.utils.console import run_recipe

RECIPES = Path(__file__).parents[2] / "recipes"
CONFIG = MarlinConfig(img_size=32, encoder_dim=24, encoder_depth=2, encoder_num_heads=2)
QUICK = ("--epochs", 2, "--batch-size", 2, "--workers", 0)
LABELS = """video,start,end,split,calm,talk,mood
demo_00,0,0.48,train,0,1,b
demo_00,0.48,0.96,train,1,0,a
demo_01,0,0.48,val,0,1,b
demo_01,0.48,,val,1,0,a
demo_02,,0.5,test,1,0,a
demo_02,0.5,,test,0,1,b
absent.mp4,,,test,0,1,b
"""


@pytest.fixture(scope="module")
def finetune(load_recipe):
    module = load_recipe("finetune")
    return lambda *options: run_recipe(lambda: module.main([str(x) for x in options]))


@pytest.fixture(scope="module")
def predict(load_recipe):
    module = load_recipe("predict")
    return lambda *options: run_recipe(lambda: module.main([str(x) for x in options]))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, tiny_store):
    """Options that name labels, store and weights."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "labels.csv").write_text(LABELS)
    torch.manual_seed(0)
    MarlinEncoder(CONFIG).save_pretrained(folder / "weights")
    labels, weights = folder / "labels.csv", folder / "weights"
    return (labels, "--store", tiny_store, "--weights", weights)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory, finetune, inputs):
    out = tmp_path_factory.mktemp("tuned") / "out"
    options = ("--column", "calm", "talk", "--out", out)
    assert finetune(*inputs, *options, *QUICK) == 0
    return out


@pytest.fixture(scope="module")
def demo_videos(tmp_path_factory):
    from lightly_marlin.demo import write_demo_videos

    folder = tmp_path_factory.mktemp("videos")
    write_demo_videos(folder, num_clips=1, num_frames=40)
    (folder / "broken.mp4").write_text("no video")
    return folder


def test_finetune__leaves_a_whole_run(tuned):
    rows = list(csv.DictReader((tuned / "metrics.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert list(rows[0]) == [
        "step",
        "epoch",
        "loss/objective",
        "loss/train",
        "loss/val",
        "auc/mean/train",
        "auc/mean/val",
        "lr",
    ]
    config = yaml.safe_load((tuned / "config.yaml").read_text())
    assert config["column"] == ["calm", "talk"]
    result = Result.load(tuned)
    assert result.target.names == ("calm", "talk")
    assert result.data["missing"] == 1
    assert len(result.predictions) == 2
    assert result.protocol["dropout"] == 0.5
    assert result.protocol["mixup"] == 0.8
    assert set(result.chosen) == {"epoch", "loss/val", "auc/mean/val"}
    assert set(result.constant) == set(result.metrics)
    card = (tuned / "model" / "README.md").read_text()
    for text in ("| train | 2 |", "constant predictor", "weights weights, whose", "CC"):
        assert text in card


def test_finetune__scores_are_those_of_the_model(tuned, tiny_store):
    """What is in the files can be recomputed from the model that is beside them."""
    from lightly_marlin.store import FaceStore

    model = TunedModel.from_pretrained(tuned / "model")
    predictions = Result.load(tuned).predictions
    (track,) = [t for t in FaceStore(tiny_store) if t.source == "demo_02.mp4"]
    # The second half of a second begins with frame 13.
    frames = list(range(13, 24, 2))
    rows = frames + frames[-1:] * (16 - len(frames))
    video = torch.from_numpy(track.read_video(frames))
    video = video[:, [frames.index(row) for row in rows]][None]
    scores = model.target.scores(model(video))[0]
    place = predictions.items.index("demo_02[0.5:]")
    torch.testing.assert_close(predictions.scores[place], scores, rtol=0, atol=1e-5)


def test_finetune__result_is_that_of_its_options(finetune, inputs, tuned, capsys):
    """Finished runs are kept, and never mixed with others."""
    before = (tuned / "results.json").read_bytes()
    options = ("--column", "calm", "talk", "--out", tuned, *QUICK)
    assert finetune(*inputs, *options, "--resume") == 0
    assert "is finished already" in capsys.readouterr().out
    assert finetune(*inputs, *options) == 2
    assert "holds a run already" in capsys.readouterr().err
    assert finetune(*inputs, *options, "--resume", "--no-flip") == 2
    assert "was begun with --no-flip False, not True" in capsys.readouterr().err
    assert (tuned / "results.json").read_bytes() == before


def test_finetune__killed_and_resumed(finetune, inputs, tmp_path, kill_when):
    """The same bytes in the end, although the process was killed."""
    options = ("--column", "mood", "--epochs", 5, "--batch-size", 2, "--workers", 0)
    assert finetune(*inputs, *options, "--out", tmp_path / "whole") == 0
    out = tmp_path / "killed"
    metrics = out / "metrics.csv"
    kill_when(
        (RECIPES / "finetune.py", *inputs, *options, "--out", out),
        lambda: metrics.exists() and len(metrics.read_text().splitlines()) > 2,
    )
    assert not (out / "results.json").exists()
    assert finetune(*inputs, *options, "--out", out, "--resume") == 0
    for name in ("metrics.csv", "model/model.safetensors", "predictions.parquet"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize(
    "options",
    [
        ("--column", "mood", "--tune", "head", "--balanced"),
        ("--column", "calm", "--tune", "norm", "--cutmix", 1, "--no-flip"),
        ("--column", "calm", "--kind", "regression", "--precision", "bf16-mixed"),
    ],
)
def test_finetune__ways(finetune, inputs, tmp_path, options):
    assert finetune(*inputs, *options, "--out", tmp_path / "out", *QUICK) == 0
    metrics = Result.load(tmp_path / "out").metrics
    assert metrics
    TunedModel.from_pretrained(tmp_path / "out" / "model")


def test_finetune__videos_in_place_of_a_store(
    finetune, tmp_path, make_frames, fake_faces, inputs
):
    from lightly_marlin.video import write_video

    videos = tmp_path / "videos"
    lines = ["video,happy,split"]
    for number, split in enumerate(("train", "train", "val", "val", "test", "test")):
        (videos / split).mkdir(parents=True, exist_ok=True)
        frames = make_frames(20, seed=number)
        write_video(videos / split / f"{number}.mp4", frames)
        lines.append(f"{split}/{number}.mp4,{number % 2},{split}")
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(lines))
    # In this process, where the stand-in for the finder is.
    import lightly_marlin.preparation as preparation

    prepare = preparation.prepare_videos
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            preparation,
            "prepare_videos",
            lambda *args, **options: prepare(*args, num_workers=0, **options),
        )
        options = ("--videos", videos, *inputs[3:], "--out", tmp_path / "out")
        assert finetune(labels, *options, *QUICK) == 0
    result = Result.load(tmp_path / "out")
    assert result.protocol["jpeg_quality"] == 95
    assert result.data["no_face"] == 0


@pytest.mark.parametrize("batch", [(1,), (2, "--batch-norm")])
def test_finetune__two_processes(inputs, tmp_path, warm_python, batch):
    """Both take their part, and one of them writes the result."""
    command = [warm_python, RECIPES / "finetune.py", *inputs, "--column", "mood"]
    command += ["--devices", 2, "--batch-size", *batch, "--epochs", 2, "--workers", 0]
    command += ["--out", tmp_path / "out"]
    subprocess.run([str(part) for part in command], check=True, timeout=300)
    rows = list(csv.DictReader((tmp_path / "out" / "metrics.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert len(Result.load(tmp_path / "out").predictions) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--column", "hue"), "hue"),
        (("--tune", "some"), "Invalid tune (some). Supported values are all, norm"),
        (("--epochs", 0), "Invalid epochs 0: must be at least 1"),
        (("--devices", 64), "64 devices are asked for"),
        (("--column", "calm", "talk", "--balanced"), "this one is multilabel"),
        (("--task", "cmu_mosei_sentiment"), "cannot be combined with --task"),
        (
            ("--column", "calm", "--kind", "regression", "--mixup", 0.8),
            "Values cannot be mixed",
        ),
    ],
)
def test_finetune__bad_input(finetune, inputs, tmp_path, capsys, options, message):
    out = tmp_path / "out"
    assert finetune(*inputs, *options, "--out", out, *QUICK[2:]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    # Nothing that a second try would stumble over.
    assert not (out / "config.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Name the labels: finetune.py LABELS"),
        (("labels.csv",), "Name the store of the videos with --store"),
        (("labels.csv", "--store", "s"), "Name the weights to start from"),
    ],
)
def test_finetune__lacks_an_option(finetune, capsys, arguments, message):
    assert finetune(*arguments) == 2
    assert message in capsys.readouterr().err


def test_finetune__store_of_other_videos(finetune, inputs, tmp_path, capsys):
    labels = tmp_path / "labels.csv"
    labels.write_text(LABELS.replace("demo_", "other_"))
    options = ("--column", "calm", "--out", tmp_path / "out")
    assert finetune(labels, *inputs[1:], *options, *QUICK) == 2
    error = capsys.readouterr().err
    assert "None of the 2 items to train on has a face in" in error
    assert "no video of the store is called other_00" in error


def test_predict__files(predict, tuned, demo_videos, tmp_path, capsys):
    out = tmp_path / "out"
    options = ("--model", tuned / "model", "--workers", 0)
    assert predict(demo_videos, out, *options, "--overlay") == 0
    assert "broken.mp4: cannot be opened" in capsys.readouterr().out
    rows = list(csv.DictReader((out / "predictions.csv").open()))
    assert list(rows[0]) == [
        *("video", "track", "start_seconds", "end_seconds", "calm", "talk")
    ]
    spans = [(row["start_seconds"], row["end_seconds"]) for row in rows]
    assert spans == [("0.000", "1.280"), ("0.320", "1.600")]
    videos = {row["video"]: row for row in csv.DictReader((out / "videos.csv").open())}
    assert videos["broken.mp4"]["status"] == "failed"
    assert videos["broken.mp4"]["calm"] == ""
    mean = sum(float(row["calm"]) for row in rows) / 2
    assert float(videos["demo_00.mp4"]["calm"]) == pytest.approx(mean, abs=1e-5)
    assert (out / "overlay" / "demo_00.mp4").stat().st_size > 1000


def test_predict__scores_of_a_window(predict, tuned, demo_videos, tmp_path):
    """Crops with the options of the training store, through the model itself."""
    from lightly_marlin.features import ExtractionOptions, video_windows

    out, video = tmp_path / "out", demo_videos / "demo_00.mp4"
    assert predict(video, out, "--model", tuned / "model", "--workers", 0) == 0
    model = TunedModel.from_pretrained(tuned / "model")
    options = ExtractionOptions(crop_face=True, **vars(model.crop_options))
    window = next(iter(video_windows(video, options)))
    clip = torch.from_numpy(window.clip).permute(3, 0, 1, 2)[None]
    scores = model.target.scores(model(clip))[0]
    row = next(csv.DictReader((out / "predictions.csv").open()))
    assert float(row["calm"]) == pytest.approx(float(scores[0]), abs=1e-5)
    assert float(row["talk"]) == pytest.approx(float(scores[1]), abs=1e-5)


def test_predict__finished_videos_are_kept(predict, tuned, demo_videos, tmp_path):
    out, model = tmp_path / "out", ("--model", tuned / "model", "--workers", 0)
    assert predict(demo_videos, out, *model) == 0
    before = (out / "predictions.csv").read_bytes()
    kept = out / "windows" / "demo_00.npy"
    stamp = kept.stat().st_mtime_ns
    assert predict(demo_videos, out, *model) == 0
    assert kept.stat().st_mtime_ns == stamp
    assert (out / "predictions.csv").read_bytes() == before


def test_predict__no_prediction_at_all(predict, tuned, demo_videos, tmp_path, capsys):
    options = ("--model", tuned / "model", "--workers", 0)
    assert predict(demo_videos / "broken.mp4", tmp_path / "out", *options) == 2
    assert "None of the 1 videos gave a prediction" in capsys.readouterr().err
    rows = list(csv.DictReader((tmp_path / "out" / "videos.csv").open()))
    assert [row["status"] for row in rows] == ["failed"]


def test_predict__model_without_a_head(predict, inputs, demo_videos, tmp_path, capsys):
    assert predict(demo_videos, tmp_path / "out", "--model", inputs[-1]) == 2
    assert "describes no fine-tuned model" in capsys.readouterr().err


def test_predict__model_of_unknown_crops(predict, tuned, tmp_path, demo_videos, capsys):
    """Then the options have to be given."""
    import shutil

    shutil.copytree(tuned / "model", tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    values = json.loads(path.read_text())
    values["head"]["crops"] = None
    path.write_text(json.dumps(values))
    options = (tmp_path / "out", "--model", tmp_path / "model", "--workers", 0)
    assert predict(demo_videos, *options) == 2
    assert "does not say how its face crops were made" in capsys.readouterr().err
    assert predict(demo_videos, *options, "--detector", "hog") == 0


def test_extract_features__takes_the_tuned_model(load_recipe, tuned, demo_videos):
    extract = load_recipe("extract_features")
    arguments = (demo_videos, "features", "--weights", tuned / "model", "--workers", 0)
    with pytest.warns(UserWarning, match="left out: head"):
        assert extract.main([str(x) for x in arguments]) == 0


def test_finetune__videos_in_place_of_a_store_leave_nothing_behind(
    finetune, tmp_path, capsys
):
    labels = tmp_path / "labels.csv"
    labels.write_text("video,smile\na.mp4,0\nb.mp4,1\n")
    (tmp_path / "videos").mkdir()
    arguments = (labels, "--store", tmp_path / "videos", "--model", "marlin_vit_tiny")
    assert finetune(*arguments, "--out", tmp_path / "tuned") == 2
    assert "is no face store" in capsys.readouterr().err
    assert not (tmp_path / "tuned").exists()
