"""The table and the pictures of a result made up for them."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from PIL import Image

from lightly_marlin.evaluation import Predictions, Result, Target
from lightly_marlin.evaluation.results.report import (
    draw_result,
    format_value,
    result_table,
    show_result,
)

NAN = math.nan
NAMES = {
    "binary": ("smile",),
    "multilabel": ("smile", "talk"),
    "multiclass": ("angry", "calm", "happy"),
    "regression": ("opening",),
}


def predictions(kind, count=24):
    """Scores that are right more often than not; float32 (count, K)."""
    generator = torch.Generator().manual_seed(0)
    width = len(NAMES[kind])
    noise = torch.rand(count, width, generator=generator)
    if kind == "multiclass":
        truth = torch.eye(width)[torch.arange(count) % width]
    elif kind == "regression":
        truth = noise * 10
    else:
        truth = ((torch.arange(count)[:, None] + torch.arange(width)) % 2).float()
    scores = 0.6 * truth + 0.4 * noise
    if kind == "multiclass":
        scores = scores / scores.sum(dim=1, keepdim=True)
    return Predictions(
        items=tuple(f"v{n}" for n in range(count)),
        groups=tuple(f"g{n // 2}" for n in range(count)),
        splits=("test",) * count,
        windows=torch.ones(count, dtype=torch.int64),
        truth=truth,
        scores=scores,
        constant=torch.full((count, width), 0.5),
    )


def make_result(kind="binary", *, data=None, **changes):
    per_label = {
        name: {"positives": 12.0, "count": 24.0, "auc": 0.9} for name in NAMES[kind]
    }
    fields = {
        "task": "faces",
        "target": Target(kind, NAMES[kind]),
        "protocol": {"name": "exact"},
        "data": {"items": 24, "groups": 12, "groups_shared": 0, **(data or {})},
        "model": {"name": "tiny"},
        "seed": 0,
        "metrics": {"auc/flat": 0.75, "accuracy/flat": 2 / 3},
        "interval": {"auc/flat": (0.5, 0.9)},
        "constant": {"auc/flat": 0.5},
        "predictions": predictions(kind),
        "per_label": per_label if kind != "regression" else {},
    }
    return Result(**{**fields, **changes})


def columns(table):
    return {str(column.header): list(column.cells) for column in table.columns}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (NAN, "–"),
        (math.inf, "–"),
        (0.0, "0.000"),
        (1.0, "1.000"),
        (2 / 3, "0.667"),
        (-0.25, "-0.250"),
        (24.0, "24"),
        (24.5, "24.500"),
    ],
)
def test_format_value(value, text):
    assert format_value(value) == text


def test_result_table__metrics_beside_constant_and_interval():
    table = result_table(make_result())
    assert table.title == "faces, exact"
    assert columns(table) == {
        "metric": ["auc/flat", "accuracy/flat"],
        "constant": ["0.500", "–"],
        "tiny": ["0.750", "0.667"],
        "95 % interval": ["0.500 to 0.900", ""],
    }


def test_result_table__an_interval_with_one_end_is_none():
    table = result_table(make_result(interval={"auc/flat": (0.5, NAN)}))
    assert columns(table)["95 % interval"] == ["", ""]


@pytest.mark.parametrize("lost", ["no_face", "failed"])
def test_result_table__items_with_a_face_have_a_column_of_their_own(lost):
    """Only where it says something else than the other one."""
    metrics = {"auc/flat": 0.8}
    table = result_table(make_result(data={lost: 2}, metrics_with_face=metrics))
    assert columns(table)["with a face"] == ["0.800", "–"]
    table = result_table(make_result(data={lost: 0}, metrics_with_face=metrics))
    assert "with a face" not in columns(table)


def test_result_table__names_of_what_has_none():
    table = result_table(make_result(protocol={}, model={}))
    assert table.title == "faces, fine-tuned"
    assert "model" in columns(table)


def test_show_result__counts_and_notes(capsys):
    data = {"missing": 3, "no_face": 0, "failed": 1, "notes": ["[x] is rare"]}
    show_result(make_result(data=data))
    text = " ".join(capsys.readouterr().out.split())
    assert "faces: 24 items (3 missing, 1 unreadable) in 12 groups, 0 of them" in text
    assert "without a face" not in text
    # Brackets are no markup in what people named.
    assert text.endswith("[x] is rare")


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("binary", {"roc", "confusion", "reliability"}),
        ("multilabel", {"labels", "roc", "reliability"}),
        ("multiclass", {"labels", "roc", "confusion", "reliability"}),
        ("regression", set()),
    ],
)
def test_draw_result__pictures_that_have_a_meaning(tmp_path, kind, names):
    paths = draw_result(make_result(kind), tmp_path)
    assert {path.stem for path in paths} == names
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    for path in paths:
        assert np.asarray(Image.open(path)).std() > 5


def test_draw_result__pictures_of_an_earlier_result_go(tmp_path):
    draw_result(make_result("multiclass"), tmp_path)
    (tmp_path / "notes.txt").touch()
    draw_result(make_result("regression"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("name", ["roc", "confusion", "reliability"])
def test_draw_result__labels_that_are_empty_do_not_count(tmp_path, name):
    """Items without a label change nothing, whatever their scores are."""
    for folder, score in (("a", 0.1), ("b", 0.9)):
        made = predictions("binary")
        made.truth[:5] = NAN
        made.scores[:5] = score
        (tmp_path / folder).mkdir()
        draw_result(make_result(predictions=made), tmp_path / folder)
    first, second = (tmp_path / folder / f"{name}.png" for folder in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_draw_result__no_labels_at_all(tmp_path):
    made = predictions("binary")
    made.truth[:] = NAN
    assert draw_result(make_result(predictions=made), tmp_path) == []
    assert not any(tmp_path.iterdir())


def test_draw_result__one_class_has_no_roc(tmp_path):
    made = predictions("binary")
    made.truth[:] = 1
    names = {p.stem for p in draw_result(make_result(predictions=made), tmp_path)}
    assert names == {"confusion", "reliability"}


def test_draw_result__too_many_labels_for_curves(tmp_path):
    names = tuple(f"label {n}" for n in range(8))
    made = predictions("multilabel")
    wide = {
        name: getattr(made, name)[:, :1].repeat(1, 8)
        for name in ("truth", "scores", "constant")
    }
    result = make_result(
        "multilabel",
        target=Target("multilabel", names),
        predictions=dataclasses.replace(made, **wide),
        per_label={name: {"positives": 12.0, "count": 24.0} for name in names},
    )
    assert {p.stem for p in draw_result(result, tmp_path)} == {"labels", "reliability"}
