import math
from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.evaluation.labels.splits import Fold, folds, grouped_split
from lightly_marlin.evaluation.labels.target import Target
from lightly_marlin.utils.errors import UsageError

NAN = math.nan
TARGETS = {
    "binary": Target("binary", ("x",)),
    "multilabel": Target("multilabel", ("x", "y", "z")),
    "multiclass": Target("multiclass", ("a", "b", "c")),
    "regression": Target("regression", ("x", "y")),
}


def make_table(kind, groups, labels, splits=None):
    """A table of items that are already in order."""
    videos = [f"v{index:05d}" for index in range(len(groups))]
    names = [f"g{group}" for group in groups]
    return LabelTable.make(
        TARGETS[kind], videos, labels, groups=names, splits=splits, name="my_labels"
    )


@st.composite
def tables(draw, kind=None, min_groups=6):
    """Tables in which every value is in several groups, and some labels are empty."""
    kind = draw(st.sampled_from(sorted(TARGETS))) if kind is None else kind
    target = TARGETS[kind]
    generator = np.random.default_rng(draw(st.integers(0, 1000)))
    num_groups = draw(st.integers(min_groups, 20))
    # Two items of every group, and more of some.
    more = generator.integers(0, num_groups, draw(st.integers(0, 60)))
    groups = np.concatenate([np.arange(num_groups).repeat(2), more])
    shape = (len(groups), target.num_columns)
    if kind == "regression":
        labels = generator.normal(size=shape)
    else:
        labels = generator.integers(0, 3 if kind == "multiclass" else 2, shape)
    labels = labels.astype(float)
    # The first two items of every group have different labels, later ones may be empty.
    labels[0 : 2 * num_groups : 2], labels[1 : 2 * num_groups : 2] = 0, 1
    labels[2 * num_groups :][generator.random((len(more), shape[1])) < 0.4] = NAN
    return make_table(kind, groups.tolist(), labels.tolist())


def groups_of(table, items):
    return {table.groups[index] for index in items}


def check_fold(table, fold):
    sides = [groups_of(table, items) for items in fold]
    for items in fold:
        assert items
        assert items == sorted(set(items))
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert not sides[1] & sides[2]
    assert not table.labels[fold.train + fold.val].isnan().all(dim=1).any()


@settings(max_examples=60, deadline=None)
@given(table=tables(), seed=st.integers(0, 2**40))
def test_folds__groups_are_whole_and_tests_hold_every_item_once(table, seed):
    result = folds(table, seed)
    assert len(result) == 5
    for fold in result:
        check_fold(table, fold)
        unlabelled = set(table.labels.isnan().all(dim=1).nonzero()[:, 0].tolist())
        assert sorted({*fold.train, *fold.val, *fold.test, *unlabelled}) == list(
            range(len(table))
        )
    assert sorted(chain.from_iterable(fold.test for fold in result)) == list(
        range(len(table))
    )
    assert folds(table, seed) == result


@settings(max_examples=30, deadline=None)
@given(table=tables(), seed=st.integers(0, 1000))
def test_grouped_split__groups_are_whole_and_independent(table, seed):
    split = grouped_split(table, seed)
    assert split.shared_groups() == 0
    side = dict(zip(split.groups, split.splits, strict=True))
    part = grouped_split(table.select(range(0, len(table), 2)), seed)
    assert all(
        side[group] == name
        for group, name in zip(part.groups, part.splits, strict=True)
    )


def test_grouped_split__shares_are_80_10_10_and_depend_on_the_seed():
    table = make_table("binary", range(5000), [[0]] * 5000)
    shares = {}
    for seed in (0, 1):
        split = grouped_split(table, seed)
        shares[seed] = [len(split.in_split(s)) / 5000 for s in ("train", "val", "test")]
        np.testing.assert_allclose(shares[seed], [0.8, 0.1, 0.1], atol=0.02)
    assert shares[0] != shares[1]


def test_folds__many_items_are_split_by_hash():
    labels = [[index % 2] for index in range(1200)]
    table = make_table("binary", [index // 3 for index in range(1200)], labels)
    (fold,) = folds(table, seed=3)
    split = grouped_split(table, seed=3)
    assert fold == Fold(*(split.in_split(name) for name in ("train", "val", "test")))
    # Of 12 groups, a tenth by hash is often none.
    few = make_table("binary", [index // 100 for index in range(1200)], labels)
    assert len(folds(few)) == 5


def test_folds__another_seed_gives_others():
    table = make_table("binary", range(40), [[index % 2] for index in range(40)])
    assert folds(table, 0) != folds(table, 1)


def test_folds__are_stratified_by_class():
    labels = [[int(index % 10 == 0)] for index in range(100)]
    table = make_table("binary", range(100), labels)
    for fold in folds(table):
        assert table.labels[fold.test].sum() == 2
        assert table.labels[fold.val].sum() >= 1


def test_folds__rare_labels_are_spread():
    """The combinations of ten labels are nearly all different."""
    generator = torch.Generator().manual_seed(0)
    labels = (torch.rand(100, 10, generator=generator) < 0.5).float()
    labels[:, 0] = 0
    labels[[3, 14, 25, 36, 47], 0] = 1
    target = Target("multilabel", tuple("abcdefghij"))
    table = LabelTable.make(target, [f"v{index:03d}" for index in range(100)], labels)
    assert [int(table.labels[fold.test, 0].sum()) for fold in folds(table)] == [1] * 5


def test_folds__regression_is_spread_over_its_range():
    values = np.linspace(0, 1, 100)[:, None].repeat(2, axis=1)
    table = make_table("regression", range(100), values.tolist())
    means = [float(table.labels[fold.test].mean()) for fold in folds(table)]
    np.testing.assert_allclose(means, 0.5, atol=0.08)


def test_folds__as_many_as_groups_if_these_are_few():
    labels = [[0], [1]] * 4
    table = make_table("binary", [0, 0, 1, 1, 2, 2, 3, 3], labels)
    result = folds(table)
    assert len(result) == 4
    for fold in result:
        check_fold(table, fold)
    assert len(folds(table.select(range(6)))) == 3


def test_folds__all_different_strata_do_not_stop_scikit_learn():
    table = make_table("regression", range(3), [[0, 0], [1, 1], [2, 2]])
    assert sorted(fold.test for fold in folds(table)) == [[0], [1], [2]]


@pytest.mark.parametrize("num_groups", [5, 6, 8, 30])
def test_folds__validation_has_both_classes_though_groups_have_one(num_groups):
    labels = [[index % 2] for index in range(num_groups)]
    table = make_table("binary", range(num_groups), labels)
    for fold in folds(table):
        assert table.labels[fold.train].unique().tolist() == [0, 1]
        if num_groups > 6:
            assert table.labels[fold.val].unique().tolist() == [0, 1]
        assert len(fold.val) <= max(2, 0.2 * num_groups)


def test_folds__training_keeps_the_only_group_of_a_class():
    labels = [[0], [1], [0], [1], [0], [1], [0], [1], [0], [2]]
    table = make_table("multiclass", range(10), labels)
    for fold in folds(table):
        assert 9 not in fold.val


def test_folds__given_splits_are_kept_though_they_share_groups():
    splits = ["train", "test", "val", "train", "test", "train"]
    labels = [[0], [1], [1], [1], [NAN], [NAN]]
    table = make_table("binary", [0, 0, 1, 1, 2, 2], labels, splits)
    assert folds(table) == [Fold([0, 3], [2], [1, 4])]


def test_folds__validation_is_taken_from_train_if_not_given():
    splits = ["train"] * 20 + ["test"] * 20
    labels = [[index % 2] for index in range(40)]
    table = make_table("binary", [index // 2 for index in range(40)], labels, splits)
    (fold,) = folds(table)
    assert fold.test == list(range(20, 40))
    assert sorted(fold.train + fold.val) == list(range(20))
    # 15 % of 10 groups are 2 of 2 items.
    assert len(fold.val) == 4
    check_fold(table, fold)


def _given(labels, splits, kind="binary"):
    return make_table(kind, range(len(labels)), labels, splits)


ERRORS = [
    (_given([[0], [1]], ["train", "val"]), r"'test'; its splits are train \(1\), val"),
    (_given([[0], [1]], ["test", "test"]), "my_labels has no item .* split 'train'"),
    (_given([[0], [NAN]], ["train", "test"]), "no item with a label in the split 'tes"),
    (_given([[1], [1], [0]], ["train", "train", "test"]), "same label, 'x' = 1. Add"),
    (
        _given([[1], [1], [0]], ["train", "train", "test"], "multiclass"),
        "All items in the split 'train' of my_labels have the same label, 'b'",
    ),
    (_given([[0], [1], [1]], ["train", "train", "test"]), "None of the 2 training gro"),
    (make_table("binary", [0, 0, 1, 2], [[0], [1], [1], [NAN]]), "are in 2 groups, bu"),
    (
        make_table("binary", [0, 1, 2, 3, 4], [[0], [1], [1], [1], [1]]),
        "tested on the group 'g0': the labels of all other groups are 'x' = 1",
    ),
]


@pytest.mark.parametrize(("table", "message"), ERRORS)
def test_folds__errors_name_what_is_missing(table, message):
    with pytest.raises(UsageError, match=message) as caught:
        folds(table)
    assert "\n" not in str(caught.value)


def test_folds__one_training_value_of_every_label_is_an_error():
    labels = [[0, 1, 1], [0, 1, 1], [1, 0, 1]]
    table = _given(labels, ["train", "train", "test"], "multilabel")
    with pytest.raises(UsageError, match="have the same label, 'x' = 0 and so on"):
        folds(table)
