"""Columns of a file of labels, CSV or Parquet, as text with the numbers of the rows."""

from __future__ import annotations

import csv
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.errors import UsageError

__all__ = ["LabelFile", "read_label_file"]

_PURPOSE = "Reading labels from Parquet"

# "none" is not among them: it may be the name of a class.
_EMPTY = frozenset({"", "nan", "NaN", "NA", "N/A", "n/a", "null", "NULL"})


@dataclass(frozen=True)
class LabelFile:
    """Cells of a file as text.

    Attributes:
        path: The file.
        columns: Cells of each named column, without space around them; "" where empty.
        rows: Number of each row as an editor shows it: the line of a CSV file, whose
            first one has the names, or the row from 1 of a Parquet file.
    """

    path: Path
    columns: dict[str, list[str]]
    rows: list[int]

    def error(self, text: str, *, column: str, index: int) -> UsageError:
        """Returns an error that names the file, a row and a column.

        Args:
            text: What is wrong and what is allowed, as a sentence.
            column: Name of the column.
            index: Index of the row in `rows`.
        """
        return UsageError(
            f"{self.path}, row {self.rows[index]}, column {column!r}: {text}"
        )

    def column(self, name: str, role: str = "column") -> list[str]:
        """Returns the cells of a column.

        Args:
            name: Name of the column.
            role: Use of the column, for the message.

        Raises:
            UsageError: If there is no such column; the message names those there are.
        """
        if name not in self.columns:
            raise UsageError(
                f"{self.path} has no {role} {name!r}. Its columns are "
                f"{', '.join(map(repr, self.columns))}."
            )
        return self.columns[name]


def read_label_file(path: Path | str) -> LabelFile:
    """Reads a file of labels.

    A column without a name, as pandas writes its index, is left out.

    Args:
        path: A CSV file (UTF-8 with or without byte order mark, separated by commas,
            quoted where needed, names in the first line), or a Parquet file.

    Returns:
        At least one row.

    Raises:
        UsageError: If the file cannot be read, has no rows, rows of unequal length, or
            two columns of one name.
    """
    path = Path(path)
    if not path.exists():
        raise UsageError(f"There is no file or folder {path} with labels.")
    readers = {".csv": _read_csv, ".parquet": _read_parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UsageError(
            f"{path} cannot be read as labels: its suffix is {path.suffix!r}. "
            "Supported are .csv, .parquet, or a folder with a folder of videos per "
            "class."
        )
    try:
        file = reader(path)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror or error}."
        ) from error
    if not file.rows:
        raise UsageError(f"{path} has no rows below the names of its columns.")
    return file


def _read_csv(path: Path) -> LabelFile:
    header: list[str] | None = None
    cells: list[list[str]] = []
    rows: list[int] = []
    first_line = 1
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            for row in reader:
                line, first_line = first_line, reader.line_num + 1
                if not any(cell.strip() for cell in row):
                    continue
                if header is None:
                    header = [name.strip() for name in row]
                    continue
                if len(row) != len(header):
                    raise UsageError(
                        f"{path}, row {line} has {len(row)} cells, but there are "
                        f"{len(header)} columns. Put cells with a comma in quotes."
                    )
                cells.append([_text(cell) for cell in row])
                rows.append(line)
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path} is not UTF-8 text ({error.reason} at byte {error.start}). Save "
            "it as CSV in UTF-8."
        ) from error
    except csv.Error as error:
        raise UsageError(
            f"{path}, row {first_line} cannot be read as CSV: {error}."
        ) from error
    if header is None:
        raise UsageError(f"{path} is empty. Its first line names the columns.")
    _check_names(path, header)
    columns = {
        name: [row[place] for row in cells] for place, name in enumerate(header) if name
    }
    return LabelFile(path, columns, rows)


def _read_parquet(path: Path) -> LabelFile:
    pa = require("pyarrow", _PURPOSE)
    parquet = require("pyarrow.parquet", _PURPOSE)
    try:
        table = parquet.ParquetFile(path).read()
    except pa.ArrowException as error:
        raise UsageError(f"{path} cannot be read as Parquet: {error}") from error
    _check_names(path, table.column_names)
    rows = list(range(1, table.num_rows + 1))
    columns = {}
    for name in table.column_names:
        if pa.types.is_nested(table.schema.field(name).type):
            raise UsageError(
                f"The column {name!r} of {path} holds lists or records. Write one "
                "column for each label."
            )
        if name and not name.startswith("__index_level_"):
            columns[name] = [_text(cell) for cell in table.column(name).to_pylist()]
    return LabelFile(path, columns, rows)


def _text(cell: Any) -> str:
    # A letter has one form, whatever system it was typed on: classes are compared.
    text = "" if cell is None else unicodedata.normalize("NFC", str(cell).strip())
    return "" if text in _EMPTY else text


def _check_names(path: Path, names: Sequence[str]) -> None:
    twice = [name for name, count in Counter(names).items() if name and count > 1]
    if twice:
        raise UsageError(f"{path} has two columns called {twice[0]!r}. Rename one.")
