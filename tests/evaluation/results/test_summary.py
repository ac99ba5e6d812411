"""The summary of results over seeds and shares, made up for it."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lightly_marlin.evaluation import Predictions, Result, Target
from lightly_marlin.evaluation.results.summary import (
    few_shot_curve,
    mean_and_deviation,
    mean_text,
    summarise_metrics,
    summarise_values,
    write_summary,
)

NAN = math.nan


def result(value, seed=0, constant=0.5):
    nothing = torch.zeros(1, 1)
    return Result(
        task="faces",
        target=Target("binary", ("smile",)),
        protocol={"name": "exact"},
        data={"items": 20},
        model={"name": "tiny"},
        seed=seed,
        metrics={"auc/flat": value, "accuracy/flat": 1 - value},
        interval={},
        constant={"auc/flat": constant, "accuracy/flat": 0.25},
        predictions=Predictions(
            ("a",), ("a",), ("test",), torch.ones(1).long(), nothing, nothing, nothing
        ),
    )


def test_mean_and_deviation__of_the_sample():
    mean, deviation = mean_and_deviation([1, 2, 3, 6])
    assert mean == 3
    assert deviation == pytest.approx(math.sqrt((4 + 1 + 0 + 9) / 3))


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=8))
def test_mean_and_deviation__equals_the_definition(values):
    mean = sum(values) / len(values)
    squares = sum((value - mean) ** 2 for value in values)
    expected = (mean, math.sqrt(squares / (len(values) - 1)))
    assert mean_and_deviation(values) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], (NAN, NAN)), ([0.5], (0.5, NAN)), ([0.5, NAN], (NAN, NAN))],
)
def test_mean_and_deviation__undefined(values, expected):
    assert mean_and_deviation(values) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([0.6, 0.8], "0.700 ± 0.141"),
        ([0.5, 0.5], "0.500 ± 0.000"),
        ([0.5], "0.500"),
        ([0.5, NAN], "–"),
        ([], "–"),
    ],
)
def test_mean_text(values, text):
    assert mean_text(values) == text


def test_summarise_values__json_knows_no_nan():
    values = summarise_values([0.5, NAN, 1.0])
    assert values == {"mean": None, "sd": None, "values": [0.5, None, 1.0]}
    assert summarise_values([0.25]) == {"mean": 0.25, "sd": None, "values": [0.25]}


def test_summarise_metrics__every_metric_beside_the_constant():
    summary = summarise_metrics([result(0.5), result(0.75, 1, constant=NAN)])
    assert list(summary) == ["auc/flat", "accuracy/flat"]
    assert summary["auc/flat"]["mean"] == 0.625
    assert summary["auc/flat"]["values"] == [0.5, 0.75]
    assert summary["auc/flat"]["constant"] is None
    assert summary["accuracy/flat"]["constant"] == 0.25


def test_few_shot_curve__in_the_order_of_the_shares():
    by_share = {
        100.0: [result(0.9, constant=0.4), result(0.7, 1, constant=0.6)],
        10.0: [result(0.6)],
    }
    curve, baseline = few_shot_curve("tiny", by_share, "auc/flat")
    assert curve.name == "tiny"
    np.testing.assert_array_equal(curve.x, [10, 100])
    np.testing.assert_allclose(curve.mean, [0.6, 0.8])
    np.testing.assert_allclose(curve.spread, [NAN, math.sqrt(0.02)])
    # That of the largest share: the constant predictor knows the most there.
    assert baseline == pytest.approx(0.5)


def test_write_summary__one_share(tmp_path, capsys):
    results = [(100.0, 0, result(0.6)), (100.0, 1, result(0.8, 1))]
    summary = write_summary(tmp_path, results)
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    assert summary["task"] == "faces"
    assert summary["target"] == {"kind": "binary", "names": ["smile"]}
    assert summary["fractions"].keys() == {"100"}
    assert summary["fractions"]["100"]["seeds"] == [0, 1]
    assert summary["fractions"]["100"]["metrics"]["auc/flat"]["mean"] == 0.7
    text = capsys.readouterr().out
    assert "faces: mean ± sd over seeds" in text
    assert "0.700 ± 0.141" in text


def test_write_summary__several_shares(tmp_path, capsys):
    results = [(100.0, 0, result(0.9)), (2.5, 0, result(0.6)), (2.5, 1, result(0.7, 1))]
    summary = write_summary(tmp_path, results)
    assert list(summary["fractions"]) == ["2.5", "100"]
    assert summary["fractions"]["2.5"]["seeds"] == [0, 1]
    header = capsys.readouterr().out.splitlines()[2]
    assert header.index("2.5 %") < header.index("100 %")
    assert np.asarray(Image.open(tmp_path / "few_shot.png")).std() > 5


def test_write_summary__undefined_values_are_null(tmp_path):
    write_summary(tmp_path, [(100.0, 0, result(NAN))])

    def refuse(text):
        raise AssertionError(f"{text} is not JSON")

    text = (tmp_path / "summary.json").read_text()
    metrics = json.loads(text, parse_constant=refuse)["fractions"]["100"]["metrics"]
    assert metrics["auc/flat"]["mean"] is None
