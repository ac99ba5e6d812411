"""Reduction of the features of a track's windows to the rows that are kept."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from lightly_marlin.features.windows import WindowPlace

__all__ = ["Reduction", "Row", "make_reduction"]

Row = tuple[WindowPlace, Tensor]
"""Place and features of a window; after a reduction, from the first window's first
frame to the last window's last one, with the sum of their numbers of frames."""


class Reduction(Protocol):
    """Reduction that takes windows one by one, in temporal order."""

    def add(self, row: Row) -> list[Row]:
        """Adds the next window; returns the rows that it completes."""

    def finish(self) -> list[Row]:
        """Returns the rows that are only complete at the end."""


class _Keep:
    def add(self, row: Row) -> list[Row]:
        return [row]

    def finish(self) -> list[Row]:
        return []


class _Reduce:
    """One row: memory does not grow with the number of windows."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._place: WindowPlace | None = None
        self._num_windows = 0
        self._value: Tensor | None = None

    def add(self, row: Row) -> list[Row]:
        place, features = row
        if self._value is None or self._place is None:
            self._place = place
            # With thousands of windows, rounding would be visible in a float32 sum.
            self._value = features.double()
        elif self._name == "mean":
            self._value = self._value + features
        else:
            self._value = torch.maximum(self._value, features.double())
        if self._num_windows > 0:
            self._place = self._place._replace(
                num_frames=self._place.num_frames + place.num_frames,
                last_frame=max(self._place.last_frame, place.last_frame),
            )
        self._num_windows += 1
        return []

    def finish(self) -> list[Row]:
        if self._value is None or self._place is None:
            return []
        count = self._num_windows if self._name == "mean" else 1
        return [(self._place, (self._value / count).float())]


def make_reduction(name: str) -> Reduction:
    """Makes a reduction that keeps, averages or maximises the windows of one track.

    Args:
        name: "none", "mean" or "max".

    Returns:
        The reduction.
    """
    return _Keep() if name == "none" else _Reduce(name)
