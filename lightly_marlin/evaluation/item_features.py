"""Features of labelled items: rows of windows, and which item they belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

__all__ = ["ItemFeatures", "ItemStatus"]

ItemStatus = Literal["ok", "missing", "no_face", "failed"]


@dataclass(frozen=True, eq=False)
class ItemFeatures:
    """Features of the windows of labelled items.

    Attributes:
        features: Floating-point tensor (rows, D), or (rows, N, D) with tokens.
        item_of_row: int64 tensor (rows,), ascending: index of each row's item in the
            table.
        statuses: "ok", "missing" (no such video), "no_face" or "failed" of each item of
            the table. Only items that are "ok" have rows.
        reasons: Why an item has no rows; None where it has.
        model: Name, digest of the weights and sizes of the encoder, for the result.
        options: Crops, windows, precision and reduction, for the result.
    """

    features: Tensor
    item_of_row: Tensor
    statuses: tuple[ItemStatus, ...]
    reasons: tuple[str | None, ...]
    model: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def rows_of(self, items: Sequence[int]) -> Tensor:
        """Returns the indices of the rows of some items, int64, ascending.

        Args:
            items: Indices of items in the table.
        """
        wanted = torch.zeros(len(self.statuses), dtype=torch.bool)
        wanted[torch.as_tensor(items, dtype=torch.int64)] = True
        return wanted[self.item_of_row].nonzero()[:, 0]

    def window_counts(self) -> Tensor:
        """Returns the number of rows of every item, int64 (n,)."""
        return self.item_of_row.bincount(minlength=len(self.statuses))

    def mean_of_windows(self) -> ItemFeatures:
        """Returns one row per item that has any: the mean over its windows."""
        counts = self.window_counts()
        sums = torch.zeros(
            len(counts), *self.features.shape[1:], dtype=self.features.dtype
        ).index_add_(0, self.item_of_row, self.features)
        items = counts.nonzero()[:, 0]
        shape = (-1,) + (1,) * (self.features.ndim - 1)
        means = sums[items] / counts[items].reshape(shape)
        return ItemFeatures(
            means, items, self.statuses, self.reasons, self.model, self.options
        )

    def subset(self, items: Sequence[int]) -> ItemFeatures:
        """Returns the features of some items, for `LabelTable.select` of the same.

        Args:
            items: Indices of items in the table, ascending.
        """
        rows = self.rows_of(items)
        place = torch.full((len(self.statuses),), -1, dtype=torch.int64)
        place[torch.as_tensor(items, dtype=torch.int64)] = torch.arange(len(items))
        return ItemFeatures(
            self.features[rows],
            place[self.item_of_row[rows]],
            tuple(self.statuses[index] for index in items),
            tuple(self.reasons[index] for index in items),
            self.model,
            self.options,
        )
