import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightly_marlin.evaluation.labels.few_shot import few_shot, few_shot_items
from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.evaluation.labels.strata import held_values
from lightly_marlin.evaluation.labels.target import Target
from lightly_marlin.utils.errors import UsageError

TARGETS = {
    "binary": Target("binary", ("x",)),
    "multilabel": Target("multilabel", ("x", "y", "z")),
    "multiclass": Target("multiclass", tuple("abcde")),
    "regression": Target("regression", ("x", "y")),
}
FRACTIONS = (0.01, 0.1, 0.5, 1.0)


def _table(kind, num_groups, seed=0):
    generator = torch.Generator().manual_seed(seed)
    groups = torch.randint(0, num_groups, (4 * num_groups,), generator=generator)
    shape = (len(groups), TARGETS[kind].num_columns)
    labels = torch.rand(shape, generator=generator)
    if kind != "regression":
        labels = (labels * (5 if kind == "multiclass" else 2)).floor()
    labels[torch.rand(shape, generator=generator) < 0.1] = math.nan
    return LabelTable.make(
        TARGETS[kind],
        [f"v{index:04d}" for index in range(len(groups))],
        labels,
        groups=[f"g{group}" for group in groups.tolist()],
        name="my_labels",
    )


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(sorted(TARGETS)),
    num_groups=st.integers(1, 60),
    seed=st.integers(0, 2**40),
    data=st.integers(0, 100),
)
def test_few_shot_items__fractions_are_nested_whole_groups_of_every_value(
    kind, num_groups, seed, data
):
    table = _table(kind, num_groups, data)
    train = list(range(0, len(table), 2))
    labelled = [i for i in train if not table.labels[i].isnan().all()]
    subsets = [few_shot_items(table, train, fraction=f, seed=seed) for f in FRACTIONS]
    assert subsets[-1] == labelled
    every = set().union(*held_values(table, train).values())
    for small, large in pairwise(subsets):
        assert set(small) <= set(large)
    for items in subsets:
        assert items == sorted(items)
        groups = {table.groups[index] for index in items}
        assert items == [i for i in labelled if table.groups[i] in groups]
        assert set().union(*held_values(table, items).values()) == every
    assert few_shot_items(table, train, fraction=0.1, seed=seed) == subsets[1]


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(["binary", "multiclass", "multilabel"]),
    num_groups=st.integers(1, 40),
    seed=st.integers(0, 1000),
)
def test_few_shot_items__per_class_is_exact_and_nested(kind, num_groups, seed):
    table = _table(kind, num_groups, seed)
    train = list(range(len(table)))
    subsets = [few_shot_items(table, train, per_class=k, seed=seed) for k in (1, 3, 9)]
    assert set(subsets[0]) <= set(subsets[1]) <= set(subsets[2])
    for count, items in zip((1, 3, 9), subsets, strict=True):
        kept, every = table.labels[items], table.labels
        for value in range(5 if kind == "multiclass" else 2):
            have, there = ((labels == value).sum(dim=0) for labels in (kept, every))
            wanted = there.clamp(max=count)
            exact = have == wanted if kind != "multilabel" else have >= wanted
            assert exact.all()


def test_few_shot_items__fraction_of_the_groups_is_kept():
    table = _table("binary", 500)
    items = few_shot_items(table, range(len(table)), fraction=0.1)
    groups = {table.groups[index] for index in items}
    assert len(groups) / len(set(table.groups)) == pytest.approx(0.1, abs=0.01)


def test_few_shot_items__rare_classes_keep_their_share():
    labels = [[int(index % 20 == 0)] for index in range(400)]
    videos = [f"v{index:03d}" for index in range(400)]
    table = LabelTable.make(TARGETS["binary"], videos, labels)
    items = few_shot_items(table, range(400), fraction=0.1)
    assert len(items) == 40
    assert table.labels[items].sum() == 2


def test_few_shot_items__per_class_takes_many_groups():
    """A group of a hundred items and ten of one: eleven items are from all of them."""
    groups = ["big"] * 100 + [f"g{index}" for index in range(10)]
    videos = [f"v{index:03d}" for index in range(110)]
    target = TARGETS["binary"]
    table = LabelTable.make(target, videos, [[1]] * 110, groups=groups)
    items = few_shot_items(table, range(110), per_class=11)
    assert len({table.groups[index] for index in items}) == 11


def test_few_shot_items__seeds_differ():
    table = _table("binary", 100)
    subsets = {
        tuple(few_shot_items(table, range(len(table)), fraction=0.1, seed=seed))
        for seed in range(5)
    }
    assert len(subsets) == 5


def test_few_shot__keeps_validation_and_test_and_notes_the_rest():
    table = _table("multiclass", 60)
    splits = ["train", "train", "val", "test"] * 60
    table = replace(table.with_splits(splits), notes=("before",))
    smaller = few_shot(table, fraction=0.1, seed=1)
    for split in ("val", "test"):
        items = table.in_split(split)
        kept = smaller.in_split(split)
        assert [table.items[i] for i in items] == [smaller.items[i] for i in kept]
    wanted = few_shot_items(table, table.in_split("train"), fraction=0.1, seed=1)
    train = [smaller.items[index] for index in smaller.in_split("train")]
    assert train == [table.items[index] for index in wanted]
    assert smaller.notes[0] == "before"
    assert smaller.notes[1].startswith(f"Few-shot: {len(train)} of 120 training items")


def test_few_shot__names_the_labels_without_positives():
    target = TARGETS["multilabel"]
    labels = [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
    splits = ["train", "train", "test"]
    table = LabelTable.make(target, ["a", "b", "c"], labels, splits=splits)
    smaller = few_shot(table, fraction=1.0)
    assert smaller.notes[-1] == "No training item is left of: x."


ERRORS = [
    ({}, r"Invalid fraction None and per_class None: give one"),
    ({"fraction": 0.1, "per_class": 5}, "Invalid fraction 0.1 and per_class 5"),
    ({"fraction": 0.0}, r"Invalid fraction 0.0: must be in \(0, 1\]"),
    ({"fraction": 1.5}, "Invalid fraction 1.5"),
    ({"fraction": math.nan}, "Invalid fraction nan"),
    ({"per_class": 0}, "Invalid per_class 0: must be at least 1"),
]


@pytest.mark.parametrize(("options", "message"), ERRORS)
def test_few_shot__invalid_options(options, message):
    table = _table("binary", 5)
    table = table.with_splits(["train"] * len(table))
    with pytest.raises(UsageError, match=message):
        few_shot(table, **options)


def test_few_shot__tables_that_it_cannot_reduce():
    table = _table("regression", 5)
    with pytest.raises(UsageError, match="my_labels has no splits"):
        few_shot(table, fraction=0.1)
    with pytest.raises(UsageError, match=r"my_labels is a regression, .* per_class 2"):
        few_shot_items(table, range(10), per_class=2)
    with pytest.raises(UsageError, match="no training items with labels"):
        few_shot(table.with_splits(["test"] * len(table)), fraction=0.1)
