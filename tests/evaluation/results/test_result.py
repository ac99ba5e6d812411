"""Results on disk: what is written is read back, and damage is told in one line."""

import json
import math

import pytest
import torch

from lightly_marlin.evaluation import Predictions, Result, Target
from lightly_marlin.utils.errors import UsageError


@pytest.fixture
def result():
    predictions = Predictions(
        items=('é, "1"', "b"),
        groups=("g", "h"),
        splits=("test", "test"),
        windows=torch.tensor([3, 0]),
        truth=torch.tensor([[1.0, math.nan], [0, 1]]),
        scores=torch.tensor([[0.7, 0.2], [0.5, 0.5]]),
        constant=torch.full((2, 2), 0.5),
    )
    return Result(
        task="moods",
        target=Target("multilabel", ("smile", "5 o'clock")),
        protocol={"name": "exact", "strengths": [0.1, 1.0]},
        data={"items": 2, "no_face": 1},
        model={"name": "marlin_vit_tiny"},
        seed=3,
        metrics={"auc/mean": math.nan, "accuracy/flat": 2 / 3},
        interval={"auc/mean": (math.nan, math.nan), "accuracy/flat": (0.1, 0.9)},
        constant={"auc/mean": 0.5, "accuracy/flat": 0.25},
        predictions=predictions,
        per_label={"smile": {"count": 2.0, "auc": math.nan}, "5 o'clock": {}},
        chosen={"test": {"strength": 1.0}},
        seconds=1.5,
    )


def test_save__load_gives_the_same(result, tmp_path):
    result.save(tmp_path / "deep" / "out")
    again = Result.load(tmp_path / "deep" / "out")
    assert again.target == result.target
    assert dict(again.protocol) == dict(result.protocol)
    assert dict(again.metrics) == pytest.approx(dict(result.metrics), nan_ok=True)
    assert again.interval["accuracy/flat"] == (0.1, 0.9)
    assert all(math.isnan(end) for end in again.interval["auc/mean"])
    for name in ("truth", "scores", "constant"):
        first, second = (getattr(x.predictions, name) for x in (result, again))
        torch.testing.assert_close(first, second, equal_nan=True, rtol=0, atol=0)
    assert again.predictions.items == result.predictions.items
    assert torch.equal(again.predictions.windows, result.predictions.windows)
    assert again.per_label["smile"]["count"] == 2


def test_save__is_json_that_every_reader_takes(result, tmp_path):
    result.save(tmp_path)

    def refuse(text):
        raise AssertionError(f"{text} is not JSON")

    text = (tmp_path / "results.json").read_text(encoding="utf-8")
    values = json.loads(text, parse_constant=refuse)
    assert values["metrics"]["auc/mean"] is None
    assert values["schema"] == 1


def test_save__twice_gives_the_same_bytes(result, tmp_path):
    for name in ("a", "b"):
        result.save(tmp_path / name)
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "is of schema None"),
        ('{"schema": 2}', "is of schema 2; this release reads schema 1"),
        ('{"schema": 1}', "is damaged: 'target'"),
    ],
)
def test_load__says_what_is_wrong(result, tmp_path, text, message):
    result.save(tmp_path)
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(UsageError, match=message):
        Result.load(tmp_path)


def test_load__lacks_the_predictions(result, tmp_path):
    result.save(tmp_path)
    (tmp_path / "predictions.parquet").write_bytes(b"PAR1")
    with pytest.raises(UsageError, match=r"predictions\.parquet cannot be read"):
        Result.load(tmp_path)
    with pytest.raises(UsageError, match="holds no result"):
        Result.load(tmp_path / "nowhere")
