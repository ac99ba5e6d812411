"""Comparison of results that were made up for it."""

import pytest
import torch

from lightly_marlin.evaluation import Predictions, Result, Target
from lightly_marlin.evaluation.results import comparison
from lightly_marlin.evaluation.results.comparison import (
    compared_pictures,
    compared_table,
    paired_rows,
    read_compared,
)
from lightly_marlin.utils.errors import UsageError

NAMES = tuple("abcdefgh")
TRUTH = torch.arange(8).remainder(2).float()[:, None]


def result(task="faces", right=8, seed=0):
    """As many items as said are scored on the right side."""
    scores = torch.where(torch.arange(8)[:, None] < right, TRUTH, 1 - TRUTH)
    predictions = Predictions(
        NAMES,
        NAMES,
        ("test",) * 8,
        torch.ones(8, dtype=torch.int64),
        TRUTH,
        scores,
        torch.full((8, 1), 0.5),
    )
    return Result(
        task=task,
        target=Target("binary", ("smile",)),
        protocol={"name": "exact"},
        data={},
        model={"name": "m"},
        seed=seed,
        metrics={"auc/flat": right / 8},
        interval={"auc/flat": (right / 8 - 0.1, right / 8)},
        constant={"auc/flat": 0.5},
        predictions=predictions,
    )


@pytest.fixture
def compare(tmp_path):
    """Saves results below a folder by their places, and reads folders of them."""

    def compare(results, folders):
        for place, one in results.items():
            one.save(tmp_path / place)
        return read_compared([tmp_path / folder for folder in folders])

    return compare


def test_compared_table__has_a_column_per_evaluation(compare):
    compared = compare({"a": result(), "b": result(right=6)}, ["a", "b"])
    assert compared_table(compared) == [
        {
            "task": "faces",
            "metric": "auc/flat",
            "constant": "0.500",
            "a": "1.000 [0.900, 1.000]",
            "b": "0.750 [0.650, 0.750]",
        }
    ]


def test_compared_table__of_several_seeds_is_the_mean(compare):
    results = {f"a/fraction_10/seed_{s}": result(right=4 + s) for s in range(3)}
    (row,) = compared_table(compare(results, ["a"]))
    assert row["a"] == "0.625 ± 0.125"


def test_paired_rows__leave_out_other_tasks(compare):
    results = {"a": result(right=6), "b": result(), "c": result("moods")}
    rows = paired_rows(compare(results, ["a", "b", "c"]))
    assert {(row["of"], row["minus"], row["items"]) for row in rows} == {
        ("b", "a", "8")
    }


def test_compared_pictures__leave_out_other_tasks(compare, monkeypatch):
    drawn = []

    def label_bars(bars, **_):
        drawn.extend(bar.name for bar in bars)

    monkeypatch.setattr(comparison, "label_bars", label_bars)
    results = {"a": result(), "b": result(), "c": result("moods")}
    compared_pictures(compare(results, ["a", "c", "b"]))
    assert drawn == ["a", "b"]


def test_read_compared__folder_of_no_share(compare):
    results = {f"a/fraction_{name}/seed_0": result() for name in ("10", "10_copy")}
    with pytest.raises(UsageError, match=r"fraction_10_copy is not named after a sh"):
        compare(results, ["a"])


def test_read_compared__folder_without_results(tmp_path):
    with pytest.raises(UsageError, match="holds no result"):
        read_compared([tmp_path])
