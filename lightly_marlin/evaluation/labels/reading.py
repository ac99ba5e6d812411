"""Labels of a user's own videos: a CSV or Parquet file, or a folder per class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from lightly_marlin.evaluation.labels.folder_labels import folder_labels
from lightly_marlin.evaluation.labels.joining import posix_path
from lightly_marlin.evaluation.labels.label_file import LabelFile, read_label_file
from lightly_marlin.evaluation.labels.label_kinds import parse_labels
from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.evaluation.labels.split_names import SPLIT_SPELLINGS, split_name
from lightly_marlin.evaluation.labels.target import Kind
from lightly_marlin.utils.errors import UsageError

__all__ = ["read_labels"]

_RESERVED = ("video", "item", "start", "end", "split", "group")


def read_labels(
    path: Path | str,
    columns: Sequence[str] | None = None,
    kind: Kind | None = None,
    *,
    group: str | None = None,
    split: str | None = None,
) -> LabelTable:
    """Reads labels of videos, or of stretches of videos.

    A file needs a column `video`, a path as the source of a store or what it ends in
    (see `join_videos`), and a column of labels. These columns may be there, too:
    `item` (unique name of the row), `start` and `end` (seconds), `split` (train, val,
    test; also valid, validation, dev) and `group` (person or recording, never divided
    between splits; the video if there is none). Empty cells and NaN, NA, N/A and null
    are unknown labels, which count neither in training nor in metrics.

    Args:
        path: A CSV file, a Parquet file, or a folder, see `folder_labels`.
        columns: Columns of labels; all that have no other use if None.
        kind: Kind of the labels; told from their values if None, see
            `lightly_marlin.evaluation.labels.label_kinds`.
        group: Column with the groups instead of `group`.
        split: Column with the splits instead of `split`.

    Returns:
        Table sorted by item, named after the file without suffix. It does not depend on
        the order of the rows.

    Raises:
        UsageError: If something is wrong with the file; the message names the row, as
            the file counts it, and the column.
    """
    if Path(path).is_dir():
        if columns or group or split or kind not in (None, "multiclass"):
            raise UsageError(
                f"{path} is a folder per class: it has no columns, and its kind is "
                "multiclass. Leave out --column, --group, --split and --kind, or name "
                "a CSV file."
            )
        return folder_labels(path)
    file = read_label_file(path)
    roles = {name: name for name in _RESERVED if name in file.columns}
    for role, name in (("group", group), ("split", split)):
        if name is not None:
            file.column(name, f"column for --{role}")
            roles[role] = name
    return _file_labels(file, columns, kind, roles)


def _file_labels(
    file: LabelFile,
    columns: Sequence[str] | None,
    kind: Kind | None,
    roles: dict[str, str],
) -> LabelTable:
    """Makes the table; `roles` says which column is what, beside the labels."""
    videos = [posix_path(cell) for cell in _filled(file, file.column("video"), "video")]
    starts, ends = (_seconds(file, roles.get(role)) for role in ("start", "end"))
    _check_stretches(file, starts, ends)
    items, groups = (
        _filled(file, file.columns[roles[role]], roles[role]) if role in roles else None
        for role in ("item", "group")
    )
    _check_unique(file, items, videos, starts, ends)
    labelled, notes = _label_columns(file, columns, roles)
    parsed = parse_labels(file, labelled, kind)
    empty = int(parsed.labels.isnan().all(dim=1).sum())
    if empty:
        notes.append(f"{empty} of {len(videos)} items have no label.")
    return LabelTable.make(
        parsed.target,
        videos,
        parsed.labels,
        items=items,
        starts=starts,
        ends=ends,
        groups=groups,
        splits=_splits(file, roles.get("split")),
        name=file.path.stem,
        notes=[*notes, *parsed.notes],
    )


def _label_columns(
    file: LabelFile, columns: Sequence[str] | None, roles: dict[str, str]
) -> tuple[list[str], list[str]]:
    """Returns the columns of labels in the order of the file, and notes."""
    used = {*_RESERVED, *roles.values()}
    if columns:
        for name in columns:
            file.column(name)
            if name in used:
                raise UsageError(
                    f"The column {name!r} of {file.path} cannot hold labels: it says "
                    "what an item is, or where it belongs. Choose another --column."
                )
        wanted = [name for name in file.columns if name in columns]
    else:
        wanted = [name for name in file.columns if name not in used]
    if not wanted:
        raise UsageError(
            f"{file.path} has no column of labels. Its columns are "
            f"{', '.join(map(repr, file.columns))}; add one such as 'mood'."
        )
    filled = [name for name in wanted if any(file.columns[name])]
    blank = [name for name in wanted if name not in filled]
    if blank and (columns or not filled):
        raise UsageError(f"The column {blank[0]!r} of {file.path} is entirely empty.")
    notes = [f"Column {name!r} is entirely empty and left out." for name in blank]
    return filled, notes


def _filled(file: LabelFile, cells: list[str], column: str) -> list[str]:
    """Returns the cells of a column that must not be empty."""
    for index, cell in enumerate(cells):
        if not cell:
            raise file.error(
                "the cell is empty. Fill it in or delete the row.",
                column=column,
                index=index,
            )
    return cells


def _seconds(file: LabelFile, column: str | None) -> list[float] | None:
    if column is None:
        return None
    return [
        _second(file, column, index) if cell else math.nan
        for index, cell in enumerate(file.columns[column])
    ]


def _second(file: LabelFile, column: str, index: int) -> float:
    cell = file.columns[column][index]
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise file.error(
            f"{cell!r} is not a time. Write seconds from the beginning of the video, "
            "at least 0, such as 12.5.",
            column=column,
            index=index,
        )
    return value


def _check_stretches(
    file: LabelFile, starts: list[float] | None, ends: list[float] | None
) -> None:
    for index, end in enumerate(ends or ()):
        start = starts[index] if starts else math.nan
        # Without a start, an item begins with its video.
        first = 0.0 if math.isnan(start) else start
        if end <= first:
            raise file.error(
                f"the item ends at {end:g} s, which is not after its start at "
                f"{first:g} s.",
                column="end",
                index=index,
            )


def _check_unique(
    file: LabelFile,
    items: list[str] | None,
    videos: list[str],
    starts: list[float] | None,
    ends: list[float] | None,
) -> None:
    blank = [math.nan] * len(videos)
    stretches = zip(videos, starts or blank, ends or blank, strict=True)
    first: dict[str, int] = {}
    for index, key in enumerate(items or map(str, stretches)):
        earlier = first.setdefault(key, index)
        if earlier != index:
            name = items[index] if items else videos[index]
            raise file.error(
                f"the item {name!r} is already in row {file.rows[earlier]}. Delete one "
                "of them, or give stretches of a video different start and end.",
                column="item" if items else "video",
                index=index,
            )


def _splits(file: LabelFile, column: str | None) -> list[str] | None:
    if column is None:
        return None
    splits = []
    for index, cell in enumerate(file.columns[column]):
        split = split_name(cell)
        if split is None:
            raise file.error(
                f"{cell!r} is not a split. Supported values are "
                f"{', '.join(SPLIT_SPELLINGS)}.",
                column=column,
                index=index,
            )
        splits.append(split)
    return splits
