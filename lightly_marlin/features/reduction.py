"""Reduction of the features of a track's windows to the rows that are kept."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

__all__ = ["Reduction", "Row", "make_reduction"]

Row = tuple[int, int, Tensor]
"""First frame, number of frames and features of a window."""


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
        self._first_start = 0
        self._num_frames = 0
        self._num_windows = 0
        self._value: Tensor | None = None

    def add(self, row: Row) -> list[Row]:
        start, num_frames, features = row
        if self._value is None:
            self._first_start = start
            # With thousands of windows, rounding would be visible in a float32 sum.
            self._value = features.double()
        elif self._name == "mean":
            self._value = self._value + features
        else:
            self._value = torch.maximum(self._value, features.double())
        self._num_frames += num_frames
        self._num_windows += 1
        return []

    def finish(self) -> list[Row]:
        if self._value is None:
            return []
        count = self._num_windows if self._name == "mean" else 1
        return [(self._first_start, self._num_frames, (self._value / count).float())]


def make_reduction(name: str) -> Reduction:
    """Makes a reduction that keeps, averages or maximises the windows of one track.

    Args:
        name: "none", "mean" or "max".

    Returns:
        The reduction.
    """
    return _Keep() if name == "none" else _Reduce(name)
