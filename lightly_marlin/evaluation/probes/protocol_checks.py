"""Checks of what a probe is given, before anything is fitted."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lightly_marlin.evaluation.items.item_features import ItemFeatures
from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.evaluation.labels.strata import only_label
from lightly_marlin.evaluation.probes.probe_rows import ProbeRows
from lightly_marlin.utils.errors import UsageError

__all__ = ["check_features", "check_test", "check_train", "check_val", "varied_labels"]

# Rows of tokens that are checked at once, to hold few copies of them.
_CHUNK_ROWS = 1024


def check_features(features: ItemFeatures, table: LabelTable) -> None:
    """Checks that features are finite and those of a table.

    Args:
        features: Features of the items of the table.
        table: The table.

    Raises:
        ValueError: If numbers of items or rows differ.
        UsageError: If a feature is not finite; the message names the item.
    """
    if len(features.statuses) != len(table):
        raise ValueError(
            f"The features are of {len(features.statuses)} items and {table.name} has "
            f"{len(table)}. Select the same items from both."
        )
    if len(features.item_of_row) != len(features.features):
        raise ValueError(
            f"There are {len(features.features)} rows of features and "
            f"{len(features.item_of_row)} of item_of_row."
        )
    for index, count in enumerate(features.window_counts().tolist()):
        if (features.statuses[index] == "ok") != (count > 0):
            raise ValueError(
                f"The item {table.items[index]!r} is {features.statuses[index]!r} and "
                f"has {count} rows of features. Items that are 'ok' have rows, others "
                "none."
            )
    start = 0
    for part in torch.split(features.features, _CHUNK_ROWS):
        finite = part.isfinite().flatten(1).all(dim=1)
        if not finite.all():
            row = start + int((~finite).nonzero()[0, 0])
            item = table.items[int(features.item_of_row[row])]
            raise UsageError(
                f"The features of the item {item!r} are not finite (row {row}). Check "
                "the weights and the precision, and extract the features again."
            )
        start += len(part)


def varied_labels(table: LabelTable, labels: Tensor) -> Tensor:
    """Returns which columns of labels hold at least two values, bool (C,).

    Args:
        table: The table.
        labels: float32 tensor (n, C); NaN where empty.
    """
    high = labels.nan_to_num(nan=-torch.inf)
    low = labels.nan_to_num(nan=torch.inf)
    if not len(labels):
        return torch.zeros(table.target.num_columns, dtype=torch.bool)
    return high.amax(dim=0) > low.amin(dim=0)


def check_train(table: LabelTable, rows: ProbeRows, name: str) -> None:
    """Checks that training items have features and more than one label.

    Args:
        table: The table.
        rows: Training rows.
        name: Name of the fold, for the message.

    Raises:
        UsageError: If there is nothing to tell apart.
    """
    where = f"The training items of {table.name}{_of(name)}"
    if not len(rows):
        raise UsageError(
            f"{where} have no features: their videos are missing, have no face or "
            "could not be read. Check the store or the folder of videos."
        )
    if not varied_labels(table, rows.item_labels).any():
        raise UsageError(
            f"{where} all have the same label, "
            f"{only_label(table, rows.item_labels)}. Add training items with another "
            "one, or leave out the splits to have them drawn."
        )


def check_val(table: LabelTable, rows: ProbeRows, name: str) -> None:
    """Checks that validation items have features.

    Args:
        table: The table.
        rows: Validation rows.
        name: Name of the fold, for the message.

    Raises:
        UsageError: If there is nothing to choose on.
    """
    if not len(rows):
        raise UsageError(
            f"No validation item of {table.name}{_of(name)} has features and a label: "
            "nothing can be chosen. Label more videos, or give more items the split "
            "val."
        )


def check_test(table: LabelTable, items: Sequence[int]) -> None:
    """Checks that test items can tell good predictions from bad ones.

    Args:
        table: The table.
        items: Indices of all test items whose video is there.

    Raises:
        UsageError: If there are none, or all have the same label.
    """
    labels = table.labels[list(items)]
    if labels.isnan().all():
        raise UsageError(
            f"No test item of {table.name} has a label and a video: nothing can be "
            "tested. Check the names of the videos, or give more items the split test."
        )
    if table.target.kind == "regression" or varied_labels(table, labels).any():
        return
    raise UsageError(
        f"The test items of {table.name} all have the same label, "
        f"{only_label(table, labels)}: no metric can tell predictions apart. Add test "
        "items with another one, or leave out the splits to have them drawn."
    )


def _of(name: str) -> str:
    return "" if name == "test" else f" in {name}"
