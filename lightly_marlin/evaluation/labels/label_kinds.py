"""Kinds of columns of labels, told from their cells or said, and cells as numbers.

One rule per column:

- only 0, 1, false, true, no, yes (any case, 0.0 and 1.0, too): binary;
- whole numbers from -1 to 20, also written 3.0: codes of classes, multiclass;
- other numbers: regression, so ages and scores are quantities;
- anything else: names of classes, multiclass.

Small whole numbers may also be quantities, and large ones identities; a note tells what
was chosen then, and the kind can be said. A few words among numbers are taken for
mistakes, not for classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lightly_marlin.evaluation.labels.label_file import LabelFile
from lightly_marlin.evaluation.labels.target import KINDS, Kind, Target
from lightly_marlin.utils.errors import UsageError

__all__ = ["ParsedLabels", "column_kind", "parse_labels"]

_TRUTH = {"0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0}
_TRUTH |= {"false": 0.0, "true": 1.0, "no": 0.0, "yes": 1.0}

# Codes are counted from 0 or 1, and -1 is the usual code of "negative".
_MIN_CODE, _MAX_CODE = -1, 20

_MAX_FLOAT32 = torch.finfo(torch.float32).max


@dataclass(frozen=True)
class ParsedLabels:
    """Labels of a file.

    Attributes:
        target: Kind and names.
        labels: float32 tensor (n, C), see `Target`; NaN where a cell is empty.
        notes: Sentences on what was decided.
    """

    target: Target
    labels: Tensor
    notes: tuple[str, ...]


def parse_labels(
    file: LabelFile, columns: list[str], kind: Kind | None = None
) -> ParsedLabels:
    """Turns columns of labels into a target and numbers.

    Args:
        file: The file.
        columns: Names of the columns, at least one, none of them entirely empty.
        kind: "binary", "multilabel", "multiclass" or "regression"; told from the cells
            if None.

    Raises:
        UsageError: If a label is outside its kind, the columns are of several kinds or
            too many for their kind, or all labels are the same; the message names file,
            row and column.
    """
    if kind is not None and kind not in KINDS:
        raise UsageError(
            f"Invalid kind ({kind!r}). Supported values are {', '.join(KINDS)}."
        )
    notes: list[str] = []
    if kind is None:
        kind = _common_kind(file, columns, notes)
    if kind in ("binary", "multiclass") and len(columns) > 1:
        raise UsageError(
            f"A {kind} target has one column of labels, but {file.path} has "
            f"{len(columns)}: {_listed(columns)}. Choose one with --column."
        )
    if kind == "multiclass":
        names = _class_names(file, columns[0])
        classes = sorted({name for name in names if name})
        code = {name: float(index) for index, name in enumerate(classes)}
        numbers = [[code.get(name, math.nan) for name in names]]
    else:
        parse = _number if kind == "regression" else _truth
        numbers = [
            [
                parse(file, column, index) if cell else math.nan
                for index, cell in enumerate(file.columns[column])
            ]
            for column in columns
        ]
        classes = columns
    if len(columns) == 1:
        # One of several may be constant: rare labels are absent from small sets.
        _check_variety(file, columns[0], numbers[0])
    if kind == "multiclass":
        _check_repetition(file, columns[0], numbers[0])
    target = Target(kind, tuple(classes))
    labels = torch.tensor(numbers, dtype=torch.float32).T.contiguous()
    return ParsedLabels(target, labels, tuple(notes))


def column_kind(file: LabelFile, column: str) -> Kind:
    """Returns the kind of one column by the rule of this module.

    Raises:
        UsageError: If most cells are numbers and some are not.
    """
    cells = [(index, cell) for index, cell in enumerate(file.columns[column]) if cell]
    if all(cell.lower() in _TRUTH for _, cell in cells):
        return "binary"
    values = [_as_number(cell) for _, cell in cells]
    words = [
        index for (index, _), value in zip(cells, values, strict=True) if value is None
    ]
    if not words:
        codes = all(
            value is not None and value.is_integer() and _MIN_CODE <= value <= _MAX_CODE
            for value in values
        )
        return "multiclass" if codes else "regression"
    if 2 * len(words) < len(cells):
        raise file.error(
            f"{file.columns[column][words[0]]!r} is not a number, but most labels of "
            "this column are. Correct it or leave it empty; if it is the name of a "
            "class, pass --kind multiclass.",
            column=column,
            index=words[0],
        )
    return "multiclass"


def _common_kind(file: LabelFile, columns: list[str], notes: list[str]) -> Kind:
    """Returns the kind of all columns together; notes what may be meant otherwise."""
    kinds = {column: column_kind(file, column) for column in columns}
    first, kind = next(iter(kinds.items()))
    other = next((name for name in columns if kinds[name] != kind), None)
    if other is not None:
        raise UsageError(
            f"The columns of {file.path} are of different kinds: {first!r} is {kind}, "
            f"{other!r} is {kinds[other]}. Choose columns of one kind with --column, "
            "or pass --kind."
        )
    for column in columns:
        values = [_as_number(cell) for cell in file.columns[column] if cell]
        numbers = [value for value in values if value is not None]
        if kind not in ("multiclass", "regression") or len(numbers) < len(values):
            continue
        if not all(value.is_integer() for value in numbers):
            continue
        span = f"holds whole numbers from {min(numbers):.0f} to {max(numbers):.0f}"
        notes.append(
            f"Column {column!r} {span}: read as {len(set(numbers))} classes; pass "
            "--kind regression if it is a quantity."
            if kind == "multiclass"
            else f"Column {column!r} {span}: read as a quantity; pass --kind "
            "multiclass if they are codes of classes."
        )
    return "multilabel" if kind == "binary" and len(columns) > 1 else kind


def _check_variety(file: LabelFile, column: str, labels: list[float]) -> None:
    """Checks that the only column of labels tells items apart."""
    if len({label for label in labels if not math.isnan(label)}) == 1:
        only = next(cell for cell in file.columns[column] if cell)
        raise UsageError(
            f"{file.path}: the only label in column {column!r} is {only!r}: there is "
            "nothing to tell apart. Add items with another label."
        )


def _class_names(file: LabelFile, column: str) -> list[str]:
    """Returns the class of every cell as text; whole numbers lose their ".0".

    pandas writes whole numbers as 3.0 in a column that has an empty cell.
    """
    cells = file.columns[column]
    numbers = [_as_number(cell) for cell in cells]
    whole = all(
        not cell or (number is not None and number.is_integer())
        for cell, number in zip(cells, numbers, strict=True)
    )
    if not whole:
        return cells
    return [_whole(cell) if cell else "" for cell in cells]


def _check_repetition(file: LabelFile, column: str, labels: list[float]) -> None:
    known = [label for label in labels if not math.isnan(label)]
    if len(set(known)) == len(known):
        raise UsageError(
            f"{file.path}: every label in column {column!r} occurs once, so what is "
            "learned from some items tells nothing about others. Choose another column "
            "with --column, or pass --kind regression if they are quantities."
        )


def _whole(cell: str) -> str:
    """Returns a whole number as plain text; long ones keep all their digits."""
    try:
        return str(int(cell))
    except ValueError:
        return f"{float(cell):.0f}"


def _truth(file: LabelFile, column: str, index: int) -> float:
    cell = file.columns[column][index]
    if cell.lower() not in _TRUTH:
        raise file.error(
            f"{cell!r} is neither 0 nor 1 (nor false, true, no, yes), which labels "
            "of this kind are.",
            column=column,
            index=index,
        )
    return _TRUTH[cell.lower()]


def _number(file: LabelFile, column: str, index: int) -> float:
    cell = file.columns[column][index]
    value = _as_number(cell)
    if value is None or math.isnan(value) or abs(value) > _MAX_FLOAT32:
        what = "not a number" if value is None else "not a finite number"
        raise file.error(
            f"{cell!r} is {what}. Labels of a regression are numbers with a decimal "
            "point; leave unknown ones empty.",
            column=column,
            index=index,
        )
    return value


def _as_number(cell: str) -> float | None:
    """Returns a cell as a number, None if it is none. Python's 1_000 is none."""
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def _listed(names: list[str]) -> str:
    """Returns names for a message, the first five of many."""
    rest = len(names) - 5
    return ", ".join(map(repr, names[:5])) + (f" and {rest} more" if rest > 0 else "")
