"""Errors of probes' input: each names the item, split or label."""

from dataclasses import replace

import pytest
import torch

from lightly_marlin.evaluation.probes.probe_rows import ProbeRows
from lightly_marlin.evaluation.probes.protocol_checks import (
    check_features,
    check_test,
    check_train,
    check_val,
    varied_labels,
)
from lightly_marlin.utils.errors import UsageError


def test_check_features__other_table(make_problem):
    problem = make_problem(count=6)
    with pytest.raises(ValueError, match="of 6 items and faces has 5"):
        check_features(problem.features, problem.table.select(range(5)))
    short = replace(problem.features, features=problem.features.features[:-1])
    with pytest.raises(ValueError, match="11 rows of features and 12"):
        check_features(short, problem.table)


def test_check_features__status_and_rows_disagree(make_problem):
    problem = make_problem(count=4)
    statuses = ("ok", "no_face", "ok", "ok")
    wrong = replace(problem.features, statuses=statuses)
    with pytest.raises(ValueError, match=r"'001.mp4' is 'no_face' and has 2 rows"):
        check_features(wrong, problem.table)


def test_check_features__names_the_item_in_any_chunk(make_problem, monkeypatch):
    module = "lightly_marlin.evaluation.probes.protocol_checks._CHUNK_ROWS"
    monkeypatch.setattr(module, 4)
    problem = make_problem(count=6, tokens=3)
    features = problem.features.features.clone()
    features[9, 1, 2] = torch.inf
    wrong = replace(problem.features, features=features)
    with pytest.raises(UsageError, match=r"'004.mp4' are not finite \(row 9\)"):
        check_features(wrong, problem.table)
    check_features(problem.features, problem.table)


def with_labels(problem, labels):
    return replace(problem.table, labels=torch.tensor(labels))


@pytest.mark.parametrize(
    ("kind", "labels", "words"),
    [
        ("binary", [[1.0]] * 4, "'smile' = 1"),
        ("multilabel", [[0.0, 1, 1]] * 4, "'smile' = 0 and so on"),
        ("multiclass", [[1.0]] * 4, "'calm'"),
        ("regression", [[2.5]] * 4, "'opening' = 2.5"),
    ],
)
def test_check_train__one_label_only(make_problem, kind, labels, words):
    problem = make_problem(kind, count=4)
    table = with_labels(problem, labels)
    rows = ProbeRows.of(problem.features, table, range(4))
    with pytest.raises(
        UsageError, match="training items of faces in fold 2 all"
    ) as error:
        check_train(table, rows, "fold 2")
    assert words in str(error.value)


def test_check_train__one_varied_label_is_enough(make_problem):
    problem = make_problem("multilabel", count=2)
    nan = torch.nan
    table = with_labels(problem, [[0.0, 1.0, nan], [0.0, 0.0, 1.0]])
    check_train(table, ProbeRows.of(problem.features, table, range(2)), "test")
    assert varied_labels(table, table.labels).tolist() == [False, True, False]


def test_check_train__no_features(make_problem):
    problem = make_problem(count=4, statuses=["no_face", "failed", "ok", "ok"])
    rows = ProbeRows.of(problem.features, problem.table, [0, 1])
    with pytest.raises(UsageError, match="training items of faces have no features"):
        check_train(problem.table, rows, "test")
    with pytest.raises(UsageError, match="No validation item of faces in fold 0"):
        check_val(problem.table, rows, "fold 0")


def test_check_test__no_positives_or_nothing(make_problem):
    problem = make_problem(count=4)
    table = with_labels(problem, [[0.0], [0.0], [1.0], [torch.nan]])
    with pytest.raises(UsageError, match=r"test items of faces all .* 'smile' = 0"):
        check_test(table, [0, 1])
    for items in ([3], []):
        with pytest.raises(UsageError, match="No test item of faces has a label"):
            check_test(table, items)
    check_test(table, [1, 2])
