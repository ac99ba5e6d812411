import math

import numpy as np

from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.evaluation.labels.strata import (
    covering_groups,
    has_labels,
    hash_share,
    held_values,
    is_trainable,
    label_values,
    only_label,
    strata,
)
from lightly_marlin.evaluation.labels.target import Target

NAN = math.nan


def _table(kind, names, labels, groups=None):
    videos = [f"v{index:02d}" for index in range(len(labels))]
    return LabelTable.make(Target(kind, names), videos, labels, groups=groups)


def test_hash_share__is_uniform_and_depends_on_everything():
    shares = [hash_share(0, "split", str(index)) for index in range(2000)]
    counts = np.histogram(shares, bins=10, range=(0, 1))[0]
    assert counts.sum() == 2000
    assert counts.min() > 150
    others = [(1, "split", "0"), (0, "val", "0"), (0, "split", "00")]
    assert len({shares[0], *(hash_share(*other) for other in others)}) == 4
    # Fixed for all time: a split of today is that of tomorrow.
    assert f"{hash_share(0, 'split', 'anna'):.6f}" == "0.999614"


def test_hash_share__names_that_are_no_unicode():
    assert 0 <= hash_share(0, "split", "a\udcff.mp4") < 1


def test_only_label__is_that_of_the_column_it_names():
    table = _table("multilabel", ("x", "y"), [[NAN, 1], [0, NAN]])
    assert only_label(table, table.labels) == "'x' = 0 and so on"
    assert only_label(table, table.labels[:1]) == "'y' = 1 and so on"
    table = _table("multiclass", ("a", "b"), [[NAN], [1]])
    assert only_label(table, table.labels) == "'b'"


def test_label_values__known_values():
    table = _table("multilabel", ("x", "y"), [[0, 1], [NAN, 0]])
    assert label_values(table).tolist() == [[0, 1], [-1, 0]]
    table = _table("multiclass", ("a", "b", "c"), [[2], [NAN]])
    assert label_values(table).tolist() == [[2], [-1]]
    labels = [[float(index)] for index in range(10)] + [[NAN]]
    values = label_values(_table("regression", ("x",), labels))[:, 0]
    assert values.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, -1]


def test_strata__rarest_positive_label():
    labels = [[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, NAN, NAN], [NAN, NAN, NAN]]
    table = _table("multilabel", ("x", "y", "z"), labels)
    assert strata(table).tolist() == [1, 0, 3, 0, -1]


def test_strata__regression_ranks_all_columns_and_skips_empty_ones():
    labels = [[float(i), 100.0 * i] for i in range(10)]
    labels[3][1] = NAN
    labels.append([NAN, NAN])
    table = _table("regression", ("x", "y"), labels)
    # Were the empty label a zero, item 3 would be among the lowest.
    assert strata(table).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, -1]
    table = _table("regression", ("x", "y"), [[NAN, NAN], [NAN, 1]])
    assert label_values(table)[:, 0].tolist() == [-1, -1]


def test_held_values__per_group():
    labels = [[0, 1], [1, NAN], [NAN, NAN], [1, 1]]
    table = _table("multilabel", ("x", "y"), labels, groups=["g", "g", "h", "i"])
    assert has_labels(table).tolist() == [True, True, False, True]
    held = held_values(table, [0, 1, 2])
    assert held == {"g": {(0, 0), (1, 1), (0, 1)}}
    assert is_trainable(table, held)
    assert not is_trainable(table, held_values(table, [3]))
    assert not is_trainable(table, {})


def test_covering_groups__rare_values_first_and_as_allowed():
    held = {"a": {(0, 0)}, "b": {(0, 0), (0, 1)}, "c": {(0, 1)}, "d": {(0, 2), (0, 0)}}
    order = ["a", "b", "c", "d"]
    assert list(covering_groups(held, order)) == ["d", "b"]
    assert list(covering_groups(held, order, lambda group: group != "d")) == ["b"]
