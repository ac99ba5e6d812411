"""The table of an ablation, of results made up for it."""

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lightly_marlin.evaluation import Predictions, Result, Target
from lightly_marlin.evaluation.results.ablation import AblationFolder
from lightly_marlin.evaluation.results.ablation_grid import Cell, Grid
from lightly_marlin.evaluation.results.ablation_table import (
    CONSTANT,
    main_table,
    notes_of,
    read_results,
    rich_table,
    row_picture,
    write_reports,
)
from lightly_marlin.training.settings import PretrainSettings

PREDICTIONS = Predictions(
    ("a",),
    ("a",),
    ("test",),
    torch.ones(1, dtype=torch.int64),
    *(torch.zeros(1, 1) for _ in range(3)),
)
VALUES = {"mask=tube": (0.6, 0.8), "random": (0.5, 0.5), "pixels": (0.25, float("nan"))}


def result(value, seed, constant=0.5, **data):
    return Result(
        task="faces",
        target=Target("binary", ("smile",)),
        protocol={"name": "exact"},
        data={"items": 20, **data},
        model={"name": "m", "weights": "0123"},
        seed=seed,
        metrics={"auc/flat": value, "accuracy/flat": 1 - value},
        interval={},
        constant={"auc/flat": constant, "accuracy/flat": 0.25 + seed / 4},
        predictions=PREDICTIONS,
    )


def results(**data):
    rows = {
        name: [result(value, seed, **data) for seed, value in enumerate(values)]
        for name, values in VALUES.items()
    }
    return {"demo": rows}


@pytest.fixture
def folder(tmp_path):
    cells = (Cell("mask=tube", PretrainSettings(mask="tube")),)
    grid = Grid(cells, (0, 1), {"demo": ("x.csv",)}, ("random", "pixels"))
    return AblationFolder(tmp_path, grid)


def test_main_table__mean_and_deviation_in_the_order_of_the_grid():
    assert main_table(results()) == [
        # Of 0.6 and 0.8: the deviation of a sample is 0.2 / sqrt(2).
        {"pretraining": "mask=tube", "demo: auc/flat": "0.700 ± 0.141"},
        {"pretraining": "random", "demo: auc/flat": "0.500 ± 0.000"},
        {"pretraining": "pixels", "demo: auc/flat": "–"},
        {"pretraining": CONSTANT, "demo: auc/flat": "0.500 ± 0.000"},
    ]


def test_main_table__one_seed_has_no_deviation():
    rows = {name: several[:1] for name, several in results()["demo"].items()}
    assert main_table({"demo": rows})[0]["demo: auc/flat"] == "0.600"


def test_main_table__a_column_per_probe():
    both = {"a": results()["demo"], "b": results()["demo"]}
    assert list(main_table(both)[0]) == ["pretraining", "a: auc/flat", "b: auc/flat"]
    assert len(rich_table(both).columns) == 3
    assert rich_table(both).row_count == 4


def test_notes_of__few_seeds_shared_groups_and_notes_of_the_data():
    notes = notes_of((0, 1), results(groups_shared=4, notes=["one label is rare"]))
    assert [note.partition(":")[0] for note in notes] == [
        "Fewer than 3 seeds (2)",
        "demo",
        "demo",
    ]
    assert "4 groups" in notes[1]
    assert notes[2] == "demo: one label is rare"
    assert notes_of((0, 1, 2), results()) == []


def test_row_picture__bars_change_with_the_values():
    rows = results()["demo"]
    picture = np.asarray(row_picture("demo", rows))
    other = {**rows, "random": [result(0.9, 0), result(0.9, 1)]}
    assert picture.shape == np.asarray(row_picture("demo", other)).shape
    assert (picture != np.asarray(row_picture("demo", other))).any()
    # Without a constant predictor there is no line, but a picture.
    rows = {"a": [result(0.5, 0, constant=float("nan"))]}
    assert row_picture("demo", rows).width > 100


def test_write_reports__numbers_of_every_seed(folder):
    write_reports(folder, results())
    content = json.loads((folder.path / "ablation.json").read_text())
    assert content["schema"] == 1
    assert content["seeds"] == [0, 1]
    assert content["rows"]["mask=tube"]["settings"]["mask"] == "tube"
    assert content["rows"]["random"] == {"baseline": True, "model": "marlin_vit_base"}
    demo = content["probes"]["demo"]
    assert demo["primary"] == "auc/flat"
    auc = demo["rows"]["mask=tube"]["metrics"]["auc/flat"]
    assert auc["values"] == [0.6, 0.8]
    assert auc["mean"] == pytest.approx(0.7)
    assert auc["sd"] == pytest.approx(0.02**0.5)
    assert auc["constant"] == 0.5
    pixels = demo["rows"]["pixels"]["metrics"]["auc/flat"]
    assert pixels["values"] == [0.25, None]
    assert pixels["mean"] is None
    assert demo[CONSTANT]["accuracy/flat"]["values"] == [0.25, 0.5]
    assert content["versions"]["torch"] == torch.__version__.partition("+")[0]


def test_write_reports__csv_and_markdown_and_picture(folder):
    write_reports(folder, results())
    with (folder.path / "ablation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    # Two metrics of three rows and the constant predictor.
    assert len(rows) == 8
    assert rows[0]["pretraining"] == "mask=tube"
    assert (rows[0]["seed_0"], rows[0]["seed_1"]) == ("0.6", "0.8")
    assert rows[2]["mean"] == ""
    text = (folder.path / "ablation.md").read_text()
    assert "| mask=tube | 0.700 ± 0.141 |\n" in text
    assert "| mask=tube | 0.700 ± 0.141 | 0.300 ± 0.141 |\n" in text
    assert "- Fewer than 3 seeds (2)" in text
    assert "![demo](demo.png)" in text
    assert Image.open(folder.path / "demo.png").width > 100


def test_read_results__by_probe_row_and_seed(folder):
    for name, several in results()["demo"].items():
        for one in several:
            one.save(folder.result(name, one.seed, "demo"))
    found = read_results(folder)["demo"]
    assert list(found) == list(VALUES)
    assert [one.seed for one in found["random"]] == [0, 1]
    assert found["mask=tube"][1].metrics["auc/flat"] == 0.8


def test_write_reports__same_bytes_again(folder):
    write_reports(folder, results())
    names = ("ablation.json", "ablation.csv", "ablation.md", "demo.png")
    before = [Path(folder.path / name).read_bytes() for name in names]
    slower = {
        name: [dataclasses.replace(one, seconds=9.0) for one in several]
        for name, several in results()["demo"].items()
    }
    write_reports(folder, {"demo": slower})
    assert [Path(folder.path / name).read_bytes() for name in names] == before
