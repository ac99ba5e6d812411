"""Tables as files: rows of text as Markdown and CSV."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from lightly_marlin.utils.files import atomic_write

__all__ = ["markdown_table", "write_csv"]

# A bar would end the cell.
_BAR = r"\|"


def markdown_table(rows: Sequence[Mapping[str, str]]) -> str:
    """Returns rows as a Markdown table.

    Args:
        rows: Cells by column, at least one row; all rows have the same columns.
    """
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *(list(row.values()) for row in rows)]
    return "".join(
        f"| {' | '.join(cell.replace('|', _BAR) or ' ' for cell in line)} |\n"
        for line in lines
    )


def write_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Writes rows as CSV, atomically.

    Args:
        path: The file; its folder exists.
        rows: Cells by column, at least one row; all rows have the same columns.
    """
    with (
        atomic_write(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
