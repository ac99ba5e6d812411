"""Metrics as one CSV file that survives a killed run."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from lightly_marlin.utils.files import atomic_write

__all__ = ["MetricsCsv"]


class MetricsCsv:
    """Appends rows to a CSV file, one per logged step.

    A resumed run starts from a checkpoint that is older than the last rows, so
    `truncate` drops the rows that are going to be written again.

    Args:
        path: The file; its folder exists.
        columns: Names of the columns; the first is "step".
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self.columns = list(columns)

    def truncate(self, last_step: int) -> None:
        """Keeps the rows of steps up to `last_step`; creates the file if missing."""
        rows = [row for row in self.rows() if int(row["step"]) <= last_step]
        with (
            atomic_write(self.path) as temporary,
            temporary.open("w", newline="") as file,
        ):
            writer = csv.DictWriter(file, self.columns)
            writer.writeheader()
            writer.writerows(rows)

    def append(self, row: Mapping[str, float]) -> None:
        """Writes one row; `row` has a value for every column."""
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, self.columns).writerow(row)

    def rows(self) -> list[dict[str, str]]:
        """Returns the complete rows written so far, values as text."""
        if not self.path.exists():
            return []
        with self.path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        return [row for row in rows if all(row.get(name) for name in self.columns)]
