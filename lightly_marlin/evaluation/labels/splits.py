"""Splits into train, validation and test by group: given, by hash, or as folds."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.evaluation.labels.strata import (
    Held,
    covering_groups,
    has_labels,
    hash_share,
    held_values,
    is_trainable,
    only_label,
    strata,
)
from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.errors import UsageError

__all__ = ["Fold", "folds", "grouped_split"]

_TRAIN_SHARE, _VAL_SHARE = 0.8, 0.1
_VAL_SHARE_OF_TRAIN = 0.15

_NUM_FOLDS = 5
_MIN_GROUPS = 3

# Below, a test split of a tenth says little; with few groups it may even be empty.
_FEW_ITEMS = 1000
_FEW_GROUPS = 50


class Fold(NamedTuple):
    """Indices of the items of one division, each ascending.

    Attributes:
        train: Items to fit on; all have labels.
        val: Items to choose settings on; at least one, all have labels.
        test: Items that are read once.
    """

    train: list[int]
    val: list[int]
    test: list[int]


def grouped_split(table: LabelTable, seed: int = 0) -> LabelTable:
    """Draws train, val and test by a hash of seed and group, 80/10/10.

    The side of a group does not depend on the other groups, so it stays when items are
    added or removed. Shares are those of groups and approximate.

    Args:
        table: The table; splits that it has are replaced.
        seed: Seed of the split.
    """

    def side(group: str) -> str:
        share = hash_share(seed, "split", group)
        if share < _TRAIN_SHARE:
            return "train"
        return "val" if share < _TRAIN_SHARE + _VAL_SHARE else "test"

    sides = {group: side(group) for group in set(table.groups)}
    return table.with_splits([sides[group] for group in table.groups])


def folds(table: LabelTable, seed: int = 0) -> list[Fold]:
    """Divides a table into train, validation and test.

    - Splits of the table are kept: one fold.
    - Without splits, fewer than 1,000 items or 50 groups: 5 folds (as many as there are
      groups with labels, if fewer), stratified, whose tests hold every item once.
    - Otherwise `grouped_split`: one fold.

    Without a validation split, 15 % of the training groups serve, chosen by hash so
    that it has as many of the values as possible and training keeps them all. A group
    is never divided, unless the splits of the table do. Items without any label are in
    no train or val.

    Args:
        table: The table.
        seed: Seed of all that is drawn.

    Raises:
        UsageError: If train or test has no labels, training has one class only, or
            there are too few groups.
    """
    few = len(table) < _FEW_ITEMS or len(set(table.groups)) < _FEW_GROUPS
    if table.splits is None and few:
        return _cross_validation(table, seed)
    split = grouped_split(table, seed) if table.splits is None else table
    _check_given(split)
    train, val = (_labelled(split, split.in_split(name)) for name in ("train", "val"))
    test = split.in_split("test")
    return [Fold(train, val, test) if val else _divided(split, train, test, seed)]


def _labelled(table: LabelTable, items: Sequence[int]) -> list[int]:
    known = has_labels(table)
    return [index for index in items if known[index]]


def _check_given(table: LabelTable) -> None:
    """Checks that splits can be trained and tested on."""
    for split in ("train", "test"):
        if not _labelled(table, table.in_split(split)):
            raise UsageError(
                f"{table.name} has no item with a label in the split {split!r}; its "
                f"splits are {_counts(table)}. Add some, or leave out the splits to "
                "have them drawn."
            )
    train = table.in_split("train")
    if not is_trainable(table, held_values(table, train)):
        raise UsageError(
            f"All items in the split 'train' of {table.name} have the same label, "
            f"{only_label(table, table.labels[train])}. Add training items with "
            "another one, or leave out the splits to have them drawn."
        )


def _counts(table: LabelTable) -> str:
    counts = Counter(table.splits)
    return ", ".join(f"{name} ({counts[name]})" for name in sorted(counts))


def _cross_validation(table: LabelTable, seed: int) -> list[Fold]:
    """Returns folds whose tests together hold every item once."""
    items = _labelled(table, range(len(table)))
    groups = sorted({table.groups[index] for index in items})
    if len(groups) < _MIN_GROUPS:
        raise UsageError(
            f"The labels of {table.name} are in {len(groups)} groups, but train, "
            f"validation and test need {_MIN_GROUPS}: a group is never divided. Label "
            "more videos, choose another --group, or give the items splits."
        )
    for count in range(min(_NUM_FOLDS, len(groups)), 1, -1):
        fold_of = _stratified_folds(table, items, count, seed)
        # Uneven groups may leave a fold empty.
        if len(set(fold_of.values())) == count:
            break
    for group in set(table.groups) - set(fold_of):
        fold_of[group] = int(hash_share(seed, "fold", group) * count)
    tests: list[list[int]] = [[] for _ in range(count)]
    for index, group in enumerate(table.groups):
        tests[fold_of[group]].append(index)
    every = set(range(len(table)))
    return [
        _divided(table, _labelled(table, sorted(every - set(test))), test, seed)
        for test in tests
    ]


def _stratified_folds(
    table: LabelTable, items: list[int], count: int, seed: int
) -> dict[str, int]:
    """Returns the fold of every group of some items."""
    selection = require("sklearn.model_selection", "Drawing folds")
    wanted = strata(table)[items]
    if np.bincount(wanted).max() < count:
        # scikit-learn refuses strata that are all smaller than the number of folds.
        wanted = np.zeros_like(wanted)
    groups = [table.groups[index] for index in items]
    # scikit-learn takes seeds of 32 bits.
    splitter = selection.StratifiedGroupKFold(
        count, shuffle=True, random_state=seed % 2**32
    )
    with warnings.catch_warnings():
        # A stratum with fewer items than folds is in as many folds as it can be.
        warnings.filterwarnings("ignore", "The least populated class")
        parts = list(splitter.split(items, wanted, groups))
    return {
        groups[place]: fold for fold, (_, test) in enumerate(parts) for place in test
    }


def _divided(table: LabelTable, items: list[int], test: list[int], seed: int) -> Fold:
    """Returns a fold with some groups of the training items set aside to validate."""
    held = held_values(table, items)
    if not is_trainable(table, held):
        raise UsageError(
            f"{table.name} cannot be tested on the group {table.groups[test[0]]!r}: "
            f"the labels of all other groups are "
            f"{only_label(table, table.labels[items])}. Label items of other classes "
            "in more groups, or give the items splits."
        )
    chosen = _validation_groups(table, held, seed)
    if not chosen:
        raise UsageError(
            f"None of the {len(held)} training groups of {table.name} can be set aside "
            "for validation: training would keep one class only, or none. Label more "
            "groups, or give some items the split val."
        )
    val = [index for index in items if table.groups[index] in chosen]
    train = [index for index in items if table.groups[index] not in chosen]
    return Fold(train, val, test)


def _validation_groups(table: LabelTable, held: Held, seed: int) -> set[str]:
    """Returns the groups to validate on; none if training cannot spare any."""
    order = sorted(held, key=lambda group: (hash_share(seed, "val", group), group))
    left = Counter(pair for pairs in held.values() for pair in pairs)
    target = max(1, round(_VAL_SHARE_OF_TRAIN * len(order)))
    # Few groups may have to give more than 15 % for a validation of two classes.
    cover = min(len(left), max(len(order) // 3, min(2, len(order) // 2)))
    chosen: set[str] = set()

    def spare(group: str) -> bool:
        return group not in chosen and all(left[pair] > 1 for pair in held[group])

    def take(group: str) -> None:
        chosen.add(group)
        left.subtract(held[group])

    for group in covering_groups(held, order, spare):
        if len(chosen) >= max(target, cover):
            break
        take(group)
    for group in order:
        if len(chosen) < target and spare(group):
            take(group)
    if not chosen:
        # Every group has a value of its own: give one up, if enough remain.
        for group in order:
            rest = {name: held[name] for name in order if name != group}
            if is_trainable(table, rest):
                return {group}
    return chosen
