"""Evaluation and comparison from end to end, on six short demo clips."""

import csv
import json

import pyarrow.parquet as pq
import pytest
from PIL import Image

from lightly_marlin.evaluation import Result, metrics_for
from lightly_marlin.models import create_marlin
from lightly_marlin.utils.console import run_recipe

MOODS = ("calm", "happy", "calm", "happy", "happy", "calm")


@pytest.fixture
def store(six_store):
    return six_store


@pytest.fixture
def labels(tmp_path):
    path = tmp_path / "my_labels.csv"
    rows = [f"demo_{index:02d}.mp4,{mood}" for index, mood in enumerate(MOODS)]
    path.write_text("\n".join(["video,mood", *rows]) + "\n")
    return path


def _run(load_recipe, name):
    module = load_recipe(name)
    return lambda *arguments: run_recipe(
        lambda: module.main([str(x) for x in arguments])
    )


@pytest.fixture(scope="module")
def evaluate(load_recipe):
    return _run(load_recipe, "evaluate")


@pytest.fixture(scope="module")
def compare(load_recipe):
    return _run(load_recipe, "compare_results")


TINY = ("--model", "marlin_vit_tiny", "--image-size", 32)


def test_evaluate__video_and_one_column(evaluate, labels, store, tmp_path, capsys):
    create_marlin("marlin_vit_tiny", img_size=32).save_pretrained(tmp_path / "model")
    arguments = (labels, "--store", store, "--weights", tmp_path / "model")
    assert evaluate(*arguments, "--column", "mood", "--out", "out") == 0
    shown = capsys.readouterr().out
    assert "6 items in 6 groups, 0 of them shared" in shown
    assert "balanced_accuracy" in shown
    values = json.loads((tmp_path / "out" / "results.json").read_text())
    assert values["schema"] == 1
    assert values["target"] == {"kind": "multiclass", "names": ["calm", "happy"]}
    assert values["constant"].keys() == values["metrics"].keys()
    assert values["protocol"]["command"]["weights"].endswith("model")
    for name in ("labels", "roc", "confusion", "reliability"):
        assert Image.open(tmp_path / "out" / f"{name}.png").width > 300


def test_evaluate__metrics_can_be_recomputed(evaluate, labels, store, tmp_path):
    assert evaluate(labels, "--store", store, *TINY, "--out", "out") == 0
    result = Result.load("out")
    table = pq.read_table(tmp_path / "out" / "predictions.parquet")
    items = sorted(table.column("item").to_pylist())
    assert items == [f"demo_{n:02d}.mp4" for n in range(6)]
    again = metrics_for(result.target)(
        result.predictions.scores, result.predictions.truth
    )
    assert again == pytest.approx(dict(result.metrics), nan_ok=True)


def test_evaluate__again_keeps_the_result(evaluate, labels, store, tmp_path, capsys):
    arguments = (labels, "--store", store, "--model", "pixels", "--out", "out")
    assert evaluate(*arguments) == 0
    first = (tmp_path / "out" / "results.json").read_bytes()
    assert evaluate(*arguments) == 0
    assert (tmp_path / "out" / "results.json").read_bytes() == first
    assert evaluate(*arguments, "--protocol", "knn") == 2
    assert "out holds the result of another command" in capsys.readouterr().err
    assert (tmp_path / "out" / "results.json").read_bytes() == first


@pytest.mark.parametrize("protocol", ["linear", "attentive", "grid", "knn"])
@pytest.mark.usefixtures("quick_probes")
def test_evaluate__protocols(evaluate, labels, store, protocol):
    arguments = (labels, "--store", store, *TINY, "--protocol", protocol)
    assert evaluate(*arguments, "--out", "out") == 0
    result = Result.load("out")
    assert result.protocol["name"] == protocol
    assert len(result.predictions) == 6


@pytest.mark.usefixtures("quick_probes")
def test_evaluate__released_takes_labels_of_yes_and_no(
    evaluate, store, tmp_path, capsys
):
    path = tmp_path / "labels.csv"
    sides = ("train", "val", "test", "test", "train", "train")
    rows = [f"demo_{n:02d}.mp4,{n % 2},{int(n > 2)},{sides[n]}" for n in range(6)]
    path.write_text("\n".join(["video,smile,brow,split", *rows]))
    arguments = (path, "--store", store, "--model", "pixels", "--protocol", "released")
    assert evaluate(*arguments, "--out", "out") == 0
    assert Result.load("out").target.kind == "multilabel"
    assert "auc/flat" in capsys.readouterr().out


def test_evaluate__histograms_by_their_places(evaluate, labels, store):
    model = ("--model", "histograms", "--image-size", 64, "--protocol", "grid")
    assert evaluate(labels, "--store", store, *model, "--out", "out") == 0
    result = Result.load("out")
    assert result.model["name"] == "HistogramFeatures"
    # Tokens are kept at a quarter of their times, and averaged over those.
    assert result.model["num_tokens"] == 128
    assert result.protocol["tokens"] == [32, 72]


def test_evaluate__fractions_and_seeds(evaluate, compare, labels, store, tmp_path):
    arguments = (labels, "--store", store, "--model", "pixels", "--seeds", 2)
    assert evaluate(*arguments, "--fractions", 50, 100, "--out", "few") == 0
    summary = json.loads((tmp_path / "few" / "summary.json").read_text())
    assert list(summary["fractions"]) == ["50", "100"]
    described = summary["fractions"]["50"]
    assert described["seeds"] == [0, 1]
    assert len(described["metrics"]["accuracy/flat"]["values"]) == 2
    small, whole = (Result.load(f"few/fraction_{n}/seed_0") for n in (50, 100))
    assert small.protocol["fraction"] == 0.5
    assert whole.protocol["fraction"] is None
    assert (tmp_path / "few" / "few_shot.png").exists()
    assert compare("few", "--out", "table") == 0
    assert (tmp_path / "table" / "few_shot.png").exists()


def test_compare_results(evaluate, compare, labels, store, tmp_path, capsys):
    for name, model in (("pixels", ("--model", "pixels")), ("random", TINY)):
        arguments = (labels, "--store", store, *model, "--out", name)
        assert evaluate(*arguments) == 0
    assert compare("random", "pixels", "--out", "table") == 0
    assert "| task | metric | constant | random | pixels |" in capsys.readouterr().out
    with (tmp_path / "table" / "table.csv").open(newline="") as file:
        rows = {row["metric"]: row for row in csv.DictReader(file)}
    value = Result.load("pixels").metrics["accuracy/flat"]
    assert rows["accuracy/flat"]["pixels"].startswith(f"{value:.3f}")
    with (tmp_path / "table" / "differences.csv").open(newline="") as file:
        pair = next(row for row in csv.DictReader(file) if row["metric"] == "auc/mean")
    expected = (
        Result.load("pixels").metrics["auc/mean"]
        - Result.load("random").metrics["auc/mean"]
    )
    assert float(pair["difference"]) == pytest.approx(expected, abs=6e-4)
    assert pair["items"] == "6"
    assert Image.open(tmp_path / "table" / "metrics.png").width > 300


def test_compare_results__no_result(compare, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert compare("empty", "--out", "table") == 2
    assert "empty holds no result" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["LABELS"], "Name the store of the videos with --store"),
        (["--store", "STORE"], "Name the labels of these videos"),
        (["LABELS", "--store", "nowhere"], "nowhere"),
        (["LABELS", "--store", "STORE", "--column", "sad"], "sad"),
        (["LABELS", "--store", "STORE", "--root", "x"], "--root belongs to --task"),
        (["--task", "faceforensics", "--store", "STORE"], "needs --root"),
        (["--task", "nothing"], "invalid choice: 'nothing'"),
        (
            ["LABELS", "--task", "faceforensics", "--root", "x", "--store", "STORE"],
            "LABELS cannot be combined with --task",
        ),
        (["LABELS", "--store", "STORE", "--fractions", "0"], "must be in (0, 100]"),
        (
            ["LABELS", "--store", "STORE", "--model", "pixels", "--weights", "w"],
            "pixels has no weights",
        ),
        (
            ["LABELS", "--store", "STORE", "--model", "histograms", "--weights", "w"],
            "histograms has no weights",
        ),
        (
            ["LABELS", "--store", "STORE", "--model=histograms", "--image-size=100"],
            "Invalid img_size (100). It must be a multiple of patch_size (16)",
        ),
        (["LABELS", "--store", "STORE", "--weights", "w.pt"], "w.pt"),
        (
            ["LABELS", "--store", "STORE", "--image-size", "112", "--weights", "w"],
            "--image-size is for random weights",
        ),
        (["LABELS", "--store", "STORE", "--image-size", "100"], "img_size (100)"),
        (
            ["LABELS", "--store", "STORE", "--image-size", "0"],
            "must be a positive integer, got 0",
        ),
    ],
)
def test_evaluate__mistakes_are_one_line(
    evaluate, labels, store, capsys, arguments, message
):
    places = {"LABELS": labels, "STORE": store}
    arguments = [places.get(text, text) for text in arguments]
    assert evaluate(*arguments, "--out", "out") == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1


def test_evaluate__missing_videos_are_counted(evaluate, labels, store, capsys):
    labels.write_text(labels.read_text() + "gone.mp4,calm\n")
    arguments = (labels, "--store", store, "--model", "pixels", "--out", "out")
    assert evaluate(*arguments) == 0
    assert "7 items (1 missing)" in capsys.readouterr().out
    assert Result.load("out").data["missing"] == 1


def test_evaluate__limit_takes_the_same_items(load_recipe, labels):
    load_recipe("evaluate")
    from lightly_marlin.evaluation import read_labels
    from lightly_marlin.evaluation.table_arguments import first_items

    table = read_labels(labels)
    some = first_items(table, 4)
    assert len(some) == 4
    assert set(first_items(table, 3).items) < set(some.items)
    assert first_items(table, 99).items == table.items


@pytest.mark.parametrize("changed", ["labels", "weights"])
def test_evaluate__changed_inputs_are_not_an_earlier_result(
    evaluate, labels, store, tmp_path, capsys, changed
):
    weights = tmp_path / "model"
    create_marlin("marlin_vit_tiny", img_size=32).save_pretrained(weights)
    arguments = (labels, "--store", store, "--weights", weights, "--out", "out")
    assert evaluate(*arguments) == 0
    if changed == "labels":
        labels.write_text(labels.read_text().replace("demo_00.mp4,calm", "demo_00,sad"))
    else:
        create_marlin("marlin_vit_tiny", img_size=32).save_pretrained(weights)
    before = (tmp_path / "out" / "results.json").read_bytes()
    assert evaluate(*arguments) == 2
    assert "labels or weights that changed since" in capsys.readouterr().err
    assert (tmp_path / "out" / "results.json").read_bytes() == before


def test_evaluate__store_and_videos_are_told_apart(
    evaluate, labels, store, tmp_path, capsys
):
    arguments = (labels, "--model", "pixels", "--out", "out")
    (tmp_path / "videos").mkdir()
    assert evaluate(*arguments, "--store", tmp_path / "videos") == 2
    assert "is no face store" in capsys.readouterr().err
    assert evaluate(*arguments, "--videos", store) == 2
    assert "is a face store: name it with --store" in capsys.readouterr().err


def test_compare_results__other_labels_have_their_own_rows(
    evaluate, compare, store, tmp_path
):
    path = tmp_path / "two.csv"
    rows = [f"demo_{n:02d}.mp4,{n % 2},{int(n > 1)}" for n in range(6)]
    path.write_text("\n".join(["video,smile,brow", *rows]))
    for name in ("smile", "brow"):
        arguments = (path, "--store", store, "--model", "pixels", "--column", name)
        assert evaluate(*arguments, "--out", name) == 0
    assert compare("smile", "brow", "--out", "table") == 0
    with (tmp_path / "table" / "table.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "auc/flat"]
    assert [row["task"] for row in rows] == ["two: smile", "two: brow"]
    assert [bool(row["smile"]) for row in rows] == [True, False]
    assert [bool(row["brow"]) for row in rows] == [False, True]
    constant = Result.load("brow").constant["auc/flat"]
    assert rows[1]["constant"] == f"{constant:.3f}"


def test_compare_results__same_folder_twice(
    evaluate, compare, labels, store, tmp_path, capsys
):
    arguments = (labels, "--store", store, "--model", "pixels", "--out", "out")
    assert evaluate(*arguments) == 0
    assert compare("out", "out", "--out", "table") == 2
    assert "out is named twice" in capsys.readouterr().err
