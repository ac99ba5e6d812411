"""Few-shot subsets of the training items, by group, stratified and nested."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.evaluation.labels.strata import (
    covering_groups,
    has_labels,
    hash_share,
    held_values,
    label_values,
)
from lightly_marlin.utils.errors import UsageError

__all__ = ["few_shot", "few_shot_items"]


def few_shot(
    table: LabelTable,
    *,
    fraction: float | None = None,
    per_class: int | None = None,
    seed: int = 0,
) -> LabelTable:
    """Keeps a part of the training items; validation and test stay whole.

    Args:
        table: Table with splits, see `grouped_split`; of folds, reduce each by
            `few_shot_items`.
        fraction: See `few_shot_items`.
        per_class: See `few_shot_items`.
        seed: See `few_shot_items`.

    Returns:
        The smaller table, with a note on what was kept.

    Raises:
        UsageError: As `few_shot_items`, or if there are no splits.
    """
    if table.splits is None:
        raise UsageError(
            f"{table.name} has no splits, and few-shot subsets are drawn from train "
            "alone. Draw splits first, with grouped_split or folds."
        )
    train = table.in_split("train")
    kept = few_shot_items(
        table, train, fraction=fraction, per_class=per_class, seed=seed
    )
    groups, all_groups = (
        len({table.groups[index] for index in items}) for items in (kept, train)
    )
    notes = [
        f"Few-shot: {len(kept)} of {len(train)} training items are kept, from {groups} "
        f"of {all_groups} groups."
    ]
    if absent := _absent(table, kept):
        notes.append(f"No training item is left of: {', '.join(absent)}.")
    others = set(range(len(table))) - set(train)
    smaller = table.select(sorted({*kept, *others}))
    return replace(smaller, notes=(*smaller.notes, *notes))


def few_shot_items(
    table: LabelTable,
    train: Sequence[int],
    *,
    fraction: float | None = None,
    per_class: int | None = None,
    seed: int = 0,
) -> list[int]:
    """Returns the training items of a few-shot subset.

    Of one seed, a smaller subset is part of every larger one. Items without any label
    are left out.

    Args:
        table: The table.
        train: Indices of the training items.
        fraction: Share of the groups to keep, in (0, 1], of each stratum of groups.
            Groups are kept whole, and enough of them for every class (or label, or
            fifth of a regression) that train has.
        per_class: Number of items to keep of each class, at least 1, spread over as
            many groups as possible. Of several labels, as many positive and as many
            negative items of each, which may be the same items.
        seed: Seed of the choice.

    Returns:
        Indices, ascending.

    Raises:
        UsageError: If not exactly one of `fraction` and `per_class` is given, it is out
            of range, or train has no labels.
    """
    if (fraction is None) == (per_class is None):
        raise UsageError(
            f"Invalid fraction {fraction} and per_class {per_class}: give one of them."
        )
    known = has_labels(table)
    items = [index for index in train if known[index]]
    if not items:
        raise UsageError(f"{table.name} has no training items with labels.")
    if fraction is not None:
        if not 0 < fraction <= 1:
            raise UsageError(f"Invalid fraction {fraction}: must be in (0, 1].")
        groups = _groups_to_keep(table, items, fraction, seed)
        return sorted(index for index in items if table.groups[index] in groups)
    if per_class is None or per_class < 1:
        raise UsageError(f"Invalid per_class {per_class}: must be at least 1.")
    if table.target.kind == "regression":
        raise UsageError(
            f"{table.name} is a regression, which has no classes: give a fraction "
            f"instead of per_class {per_class}."
        )
    return _items_per_class(table, items, per_class, seed)


def _groups_to_keep(
    table: LabelTable, items: list[int], fraction: float, seed: int
) -> set[str]:
    held = held_values(table, items)
    order = sorted(held, key=lambda group: (hash_share(seed, "few", group), group))
    # These come first, whatever the fraction, so that every value is there.
    core = list(covering_groups(held, order))
    holders: dict[tuple[int, int], int] = defaultdict(int)
    for pairs in held.values():
        for pair in pairs:
            holders[pair] += 1
    members: dict[tuple[int, int], list[str]] = defaultdict(list)
    for group in dict.fromkeys([*core, *order]):
        # A group represents the rarest value that it holds.
        members[min(held[group], key=lambda pair: (holders[pair], pair))].append(group)
    kept = set(core)
    for names in members.values():
        kept.update(names[: round(fraction * len(names))])
    return kept


def _items_per_class(
    table: LabelTable, items: list[int], per_class: int, seed: int
) -> list[int]:
    values = label_values(table)
    order = sorted(
        items, key=lambda index: (hash_share(seed, "few", table.items[index]), index)
    )
    share = {name: hash_share(seed, "few", name) for name in set(table.groups)}
    kept: set[int] = set()
    for label in range(values.shape[1]):
        # Items of one value in turns: the first of every group, then the second.
        turns: dict[int, list[tuple[int, float, int]]] = defaultdict(list)
        seen: dict[tuple[int, str], int] = defaultdict(int)
        for index in order:
            value, group = int(values[index, label]), table.groups[index]
            if value >= 0:
                turn = seen[value, group]
                turns[value].append((turn, share[group], index))
                seen[value, group] += 1
        for holders in turns.values():
            kept.update(index for *_, index in sorted(holders)[:per_class])
    return sorted(kept)


def _absent(table: LabelTable, items: list[int]) -> list[str]:
    """Returns the classes, or the labels without positives, that items lack."""
    if table.target.kind == "regression":
        return []
    counts = table.target.truth(table.labels[items]).nansum(dim=0).tolist()
    return [
        name
        for name, count in zip(table.target.names, counts, strict=True)
        if count == 0
    ]
