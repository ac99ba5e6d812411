"""Values of labels to stratify by, and groups that together hold them all."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

from lightly_marlin.evaluation.labels.label_table import LabelTable

__all__ = [
    "Held",
    "covering_groups",
    "has_labels",
    "hash_share",
    "held_values",
    "is_trainable",
    "label_values",
    "only_label",
    "strata",
]

Held = dict[str, set[tuple[int, int]]]
"""For each group the pairs (column of labels, value) that its items hold."""

_BINS = 5


def hash_share(seed: int, purpose: str, name: str) -> float:
    """Returns a number in [0, 1) that depends on nothing but the arguments.

    Args:
        seed: Seed of the evaluation.
        purpose: Use of the number; numbers of different uses are independent.
        name: Name of a group or item.
    """
    key = f"{seed}/{purpose}/{name}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(key, digest_size=6).digest(), "big") / 2**48


def has_labels(table: LabelTable) -> npt.NDArray[np.bool_]:
    """Returns which items have any label, bool (n,)."""
    known: npt.NDArray[np.bool_] = (~table.labels.isnan()).any(dim=1).numpy()
    return known


def label_values(table: LabelTable) -> npt.NDArray[np.int64]:
    """Returns labels as a few values to stratify by.

    Returns:
        int64 array (n, C): the class, 0 or 1, or the fifth of its column that a
        regression label lies in; -1 where a label is empty.
    """
    labels = table.labels.double().numpy()
    if table.target.kind == "regression":
        columns = [_fifths(column) for column in labels.T]
        return np.stack(columns, axis=1)
    return np.where(np.isnan(labels), -1, labels).astype(np.int64)


def strata(table: LabelTable) -> npt.NDArray[np.int64]:
    """Returns one stratum per item.

    The class or binary label; of several labels the rarest that is positive, because a
    combination of many labels occurs once; of a regression the fifth of the item's mean
    rank over its columns.

    Returns:
        int64 array (n,); -1 for an item without labels.
    """
    values = label_values(table)
    kind = table.target.kind
    if kind in ("binary", "multiclass"):
        return values[:, 0]
    known = has_labels(table)
    if kind == "multilabel":
        positive = values == 1
        counts = positive.sum(axis=0)
        rarity = np.where(positive, counts, len(table) + 1)
        rarest = np.where(positive.any(axis=1), rarity.argmin(axis=1), values.shape[1])
        return np.where(known, rarest, -1)
    labels = table.labels.double().numpy()
    ranks = np.stack([_ranks(column) for column in labels.T], axis=1)
    sums = np.nansum(ranks, axis=1)
    counts = (~np.isnan(ranks)).sum(axis=1)
    return _fifths(np.where(counts > 0, sums / np.maximum(counts, 1), np.nan))


def held_values(table: LabelTable, items: Sequence[int]) -> Held:
    """Returns the values that the items of each group hold.

    Args:
        table: The table.
        items: Indices of items; those without labels are left out.
    """
    values = label_values(table)
    held: Held = defaultdict(set)
    for index in items:
        row = values[index]
        pairs = {(int(label), int(row[label])) for label in np.flatnonzero(row >= 0)}
        if pairs:
            held[table.groups[index]] |= pairs
    return dict(held)


def is_trainable(table: LabelTable, held: Held) -> bool:
    """Returns whether something can be learned from the labels of some groups.

    Args:
        table: The table, for its kind.
        held: The values of the groups; a label of two values has to be among them.
    """
    pairs = set().union(*held.values()) if held else set()
    if table.target.kind == "regression":
        return bool(pairs)
    return any(count > 1 for count in Counter(label for label, _ in pairs).values())


def only_label(table: LabelTable, labels: Tensor) -> str:
    """Returns the label that all items have, as text for a message.

    Args:
        table: The table, for its target.
        labels: float32 tensor (n, C), at least one of them known, and all known ones of
            a column the same.
    """
    names = table.target.names
    column = int((~labels.isnan()).any(dim=0).nonzero()[0, 0])
    known = labels[~labels[:, column].isnan(), column]
    if table.target.kind == "multiclass":
        return repr(names[int(known[0])])
    several = " and so on" if len(names) > 1 else ""
    return f"{names[column]!r} = {float(known[0]):g}{several}"


def covering_groups(
    held: Mapping[str, set[tuple[int, int]]],
    order: Sequence[str],
    may_take: Callable[[str], bool] = lambda group: True,
) -> Iterator[str]:
    """Yields groups that together hold all values, beginning with the rarest value.

    Args:
        held: The values of the groups.
        order: Names of the groups; earlier ones are preferred.
        may_take: Says whether a group may be taken, given those yielded so far.
    """
    holders = defaultdict(list)
    for group in order:
        for pair in held[group]:
            holders[pair].append(group)
    seen: set[tuple[int, int]] = set()
    for pair in sorted(holders, key=lambda pair: (len(holders[pair]), pair)):
        if pair in seen:
            continue
        for group in filter(may_take, holders[pair]):
            seen |= held[group]
            yield group
            break


def _fifths(column: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Returns the fifth that each value lies in, -1 for NaN."""
    known = column[~np.isnan(column)]
    if len(known) == 0:
        return np.full(len(column), -1)
    edges = np.quantile(known, np.arange(1, _BINS) / _BINS)
    bins = np.searchsorted(edges, column, side="right")
    return np.where(np.isnan(column), -1, bins).astype(np.int64)


def _ranks(column: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Returns the share of smaller values, NaN for NaN."""
    known = np.sort(column[~np.isnan(column)])
    shares = np.searchsorted(known, column) / max(1, len(known))
    return np.where(np.isnan(column), np.nan, shares)
