"""Protocol of the probes: item scores, baselines, counts, folds and determinism."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from lightly_marlin.evaluation import Result
from lightly_marlin.evaluation.metrics.metrics import metrics_for
from lightly_marlin.evaluation.probes.probe_rows import Fitted
from lightly_marlin.evaluation.probes.protocol import run_protocol
from lightly_marlin.utils.errors import UsageError


def fit_first_feature(train, val, target, seed):
    """Scores are the sigmoid of the first feature; remembers what it was given."""
    fit_first_feature.calls.append((train, val, seed))

    def predict(features):
        return features[:, :1].sigmoid()

    return Fitted(predict, {"rows": len(train)})


@pytest.fixture(autouse=True)
def _forget():
    fit_first_feature.calls = []


def run(problem, **options):
    options = {"folds": [problem.fold], "draws": 20, **options}
    return run_protocol(fit_first_feature, problem.features, problem.table, **options)


def test_run_protocol__scores_are_means_over_windows(make_problem):
    problem = make_problem(count=30)
    result = run(problem)
    features = problem.features
    for row, item in enumerate(problem.fold.test):
        assert result.predictions.items[row] == problem.table.items[item]
        windows = features.features[features.rows_of([item]), 0].sigmoid()
        assert result.predictions.scores[row, 0] == pytest.approx(float(windows.mean()))
    assert set(result.predictions.splits) == {"test"}
    assert result.chosen == {"test": {"rows": 30}}
    measured = metrics_for(problem.table.target)(
        result.predictions.scores, result.predictions.truth
    )
    for name, value in measured.items():
        assert result.metrics[name] == value
        low, high = result.interval[name]
        assert low - 1e-6 <= value <= high + 1e-6


def test_run_protocol__window_level_of_binary_labels(make_problem):
    problem = make_problem(count=40)
    features, table = problem.features, problem.table
    rows = features.rows_of(problem.fold.test)
    measured = metrics_for(table.target)(
        features.features[rows, :1].sigmoid(), table.labels[features.item_of_row[rows]]
    )
    result = run(problem)
    for name, value in measured.items():
        assert result.metrics[f"window/{name}"] == value
        assert f"window/{name}" in result.interval
        assert f"window/{name}" in result.constant
    assert not any(
        name.startswith("window/") for name in run(problem, pool="mean").metrics
    )


def test_run_protocol__pool_mean_has_one_row_per_item(make_problem):
    problem = make_problem(count=30)
    result = run(problem, pool="mean")
    train, val, _ = fit_first_feature.calls[0]
    assert (len(train), len(val)) == (15, 5)
    means = problem.features.mean_of_windows().features[problem.fold.test, :1]
    torch.testing.assert_close(result.predictions.scores, means.sigmoid())
    # The windows behind a mean are still counted.
    assert result.predictions.windows.tolist() == [2] * 10
    assert result.protocol["pool"] == "mean"


def test_run_protocol__items_without_a_face_stay_with_the_constant(make_problem):
    statuses = ["ok"] * 30
    statuses[0] = statuses[20] = "no_face"
    statuses[21] = "failed"
    statuses[1] = statuses[22] = "missing"
    problem = make_problem(count=30, statuses=statuses)
    result = run(problem)
    items = list(result.predictions.items)
    assert problem.table.items[22] not in items
    assert len(items) == 9
    # The item without a face is a training item whose label counts; 1 is missing.
    frequency = problem.table.labels[[0, *range(2, 15)]].mean()
    torch.testing.assert_close(result.predictions.scores[:2, 0], frequency.repeat(2))
    assert result.predictions.windows.tolist() == [0, 0] + [2] * 7
    assert (result.predictions.constant == result.predictions.scores[0]).all()
    counts = {name: result.data[name] for name in ("missing", "no_face", "failed")}
    assert counts == {"missing": 2, "no_face": 2, "failed": 1}
    seen = result.predictions.windows > 0
    faces = metrics_for(problem.table.target)(
        result.predictions.scores[seen], result.predictions.truth[seen]
    )
    assert result.metrics_with_face == faces
    assert result.metrics_with_face != result.metrics


def test_run_protocol__folds_are_pooled(make_problem):
    problem = make_problem(count=30)
    thirds = [list(range(start, start + 10)) for start in (0, 10, 20)]
    folds = [
        type(problem.fold)(thirds[k - 2], thirds[k - 1], thirds[k]) for k in range(3)
    ]
    result = run(problem, folds=folds)
    assert result.predictions.items == problem.table.items
    assert result.predictions.splits[::10] == ("fold 0", "fold 1", "fold 2")
    assert list(result.chosen) == list(result.data["metrics_per_fold"])
    assert list(result.data["per_split"]) == ["fold 0", "fold 1", "fold 2"]
    for number, fold in enumerate(folds):
        # Constants come from each fold's own training items.
        constant = problem.table.labels[fold.train].mean()
        rows = slice(10 * number, 10 * number + 10)
        assert (result.predictions.constant[rows] == constant).all()


def test_run_protocol__draws_folds_by_the_seed(make_problem):
    problem = make_problem(count=40)
    result = run(problem, folds=None, seed=1)
    assert result.protocol["folds"] == 5
    assert sorted(result.predictions.items) == list(problem.table.items)
    assert result.data["groups_shared"] == 0
    assert (
        run(problem, folds=None, seed=2).predictions.items != result.predictions.items
    )


def test_run_protocol__few_shot_reduces_training_alone(make_problem):
    problem = make_problem(count=60)
    run(problem)
    result = run(problem, fraction=0.4)
    (train, val, _), (few, same_val, _) = fit_first_feature.calls
    assert 0 < len(few) < len(train) / 2 + 1
    assert torch.equal(val.features, same_val.features)
    assert len(result.predictions) == 20
    assert result.protocol["fraction"] == 0.4
    assert run(problem, per_class=2).data["per_split"]["train"]["items"] == 4


def test_run_protocol__same_seed_same_bytes(make_problem, tmp_path):
    problem = make_problem("multilabel", count=30)

    def fit(train, val, target, seed):
        return Fitted(lambda rows: rows[:, :3].sigmoid())

    texts = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        result = run_protocol(
            fit, problem.features, problem.table, folds=[problem.fold], draws=20
        )
        # The time that it took is the only thing that differs.
        replace(result, seconds=0.0).save(folder)
        names = ("results.json", "predictions.parquet", "per_label.csv")
        texts.append([(folder / name).read_bytes() for name in names])
    assert texts[0] == texts[1]
    loaded = Result.load(tmp_path / "a")
    assert loaded.metrics == result.metrics
    torch.testing.assert_close(loaded.predictions.scores, result.predictions.scores)
    # The metrics can be computed again from the file of predictions.
    again = metrics_for(loaded.target)(
        loaded.predictions.scores, loaded.predictions.truth
    )
    assert again == result.metrics


def test_run_protocol__says_what_it_did(make_problem, tmp_path):
    problem = make_problem(count=30)
    result = run(problem, seed=5, protocol={"name": "first"})
    result.save(tmp_path)
    values = json.loads((tmp_path / "results.json").read_text())
    assert values["seed"] == 5
    assert values["protocol"]["name"] == "first"
    assert values["model"] == {"name": "m", "grid": [1, 1, 1]}
    assert {"torch", "torchmetrics", "scikit-learn", "lightly-marlin"} <= set(
        values["versions"]
    )
    assert values["seconds"] > 0


def test_run_protocol__multiclass_constant_is_half_of_the_area(make_problem):
    problem = make_problem("multiclass", count=60)

    def fit(train, val, target, seed):
        return Fitted(lambda rows: rows[:, :3].softmax(dim=1))

    result = run_protocol(
        fit, problem.features, problem.table, folds=[problem.fold], draws=20
    )
    assert result.constant["auc/mean"] == 0.5
    assert result.constant["balanced_accuracy"] == pytest.approx(1 / 3)
    assert result.metrics["balanced_accuracy"] > 0.7
    assert list(result.per_label) == list(problem.table.target.names)


def test_run_protocol__test_items_without_any_face(make_problem):
    problem = make_problem(count=30, statuses=["ok"] * 20 + ["no_face"] * 10)
    result = run(problem)
    for name, value in result.constant.items():
        np.testing.assert_equal(result.metrics[name], value)
    assert np.isnan(result.metrics_with_face["auc/flat"])


def test_run_protocol__refuses_bad_input(make_problem):
    problem = make_problem(count=30)
    with pytest.raises(ValueError, match=r"Invalid pool \('max'\)"):
        run(problem, pool="max")
    features = problem.features.features.clone()
    features[11, 3] = torch.nan
    broken = problem._replace(features=replace(problem.features, features=features))
    with pytest.raises(UsageError, match=r"item '005.mp4' are not finite \(row 11\)"):
        run(broken)
