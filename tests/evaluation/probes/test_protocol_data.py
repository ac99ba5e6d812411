"""Counts per split and label, and notes on labels that training lacks."""

from dataclasses import replace

import torch

from lightly_marlin.evaluation.probes.protocol_data import (
    describe_data,
    fold_names,
    package_versions,
)


def test_describe_data__counts(make_problem):
    statuses = ["ok", "missing", "no_face", "ok", "failed", "ok"]
    problem = make_problem("multilabel", count=6, statuses=statuses)
    labels = torch.tensor(
        [[1.0, 0, 0], [1, 1, 1], [1, 0, torch.nan], [0, 0, 1], [1, 1, 1], [0, 0, 0]]
    )
    table = replace(problem.table, labels=labels, notes=("2 clips are gone.",))
    fold = type(problem.fold)([0, 1, 2], [3], [4, 5])
    data = describe_data(problem.features, table, [fold])
    names = ("items", "missing", "no_face", "failed", "windows", "groups")
    assert [data[name] for name in names] == [6, 1, 1, 1, 6, 3]
    # Items 2 and 3 are of one person.
    assert data["groups_shared"] == 1
    train = data["per_split"]["train"]
    assert [train[name] for name in names] == [2, 1, 1, 0, 2, 2]
    assert train["positives"] == {"smile": 2, "talk": 0, "nod": 0}
    assert train["labelled"] == {"smile": 2, "talk": 2, "nod": 1}
    assert data["per_split"]["test"]["failed"] == 1
    assert data["notes"] == [
        "2 clips are gone.",
        "Training has only one value of: smile.",
    ]


def test_describe_data__classes_that_training_lacks(make_problem):
    problem = make_problem("multiclass", count=4)
    table = replace(problem.table, labels=torch.tensor([[0.0], [2.0], [1.0], [0.0]]))
    fold = type(problem.fold)
    folds = [fold([0, 1], [2], [3]), fold([0, 1, 2], [3], [3])]
    data = describe_data(problem.features, table, folds)
    assert data["notes"] == ["Training of fold 0 has no item of: calm."]
    assert data["per_split"]["fold 1"]["train"]["positives"] == {
        "angry": 1,
        "calm": 1,
        "happy": 1,
    }


def test_describe_data__values_have_no_positives(make_problem):
    problem = make_problem("regression", count=6)
    split = describe_data(problem.features, problem.table, [problem.fold])["per_split"]
    assert "positives" not in split["train"]
    assert split["train"]["labelled"] == {"opening": 3}


def test_fold_names():
    assert fold_names(1) == ["test"]
    assert fold_names(2) == ["fold 0", "fold 1"]


def test_package_versions__are_those_installed(monkeypatch):
    versions = package_versions()
    assert versions["torch"].split("+")[0] == torch.__version__.split("+")[0]
    monkeypatch.setattr(
        "lightly_marlin.evaluation.probes.protocol_data._PACKAGES", ("no-such-package",)
    )
    assert package_versions() == {"no-such-package": "not installed"}
