"""Options that name labelled items, for recipes that evaluate or fine-tune."""

from __future__ import annotations

import hashlib
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.evaluation.labels.reading import read_labels
from lightly_marlin.evaluation.labels.split_lists import read_splits
from lightly_marlin.evaluation.labels.target import KINDS
from lightly_marlin.evaluation.tasks import get_task, list_tasks
from lightly_marlin.utils.arguments import positive_integer
from lightly_marlin.utils.errors import UsageError

if TYPE_CHECKING:
    from lightly_marlin.store.face_store import FaceStore

__all__ = [
    "add_table_arguments",
    "check_source",
    "find_source",
    "first_items",
    "read_table",
    "table_digest",
]


def add_table_arguments(parser: ArgumentParser) -> None:
    """Adds LABELS and the options that name labels, tasks and videos.

    Args:
        parser: Takes the options.
    """
    add = parser.add_argument
    add(
        "labels",
        nargs="?",
        type=Path,
        metavar="LABELS",
        help="CSV or Parquet file with a column video, or a folder per class",
    )
    add("--task", choices=list_tasks(), help="published task, in place of LABELS")
    add("--root", type=Path, metavar="DIR", help="folder of the task's data set")
    add(
        "--task-option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="option of the task, such as compression=c23; may be repeated",
    )
    places = parser.add_mutually_exclusive_group()
    places.add_argument(
        "--store", metavar="STORE", help="face store of the videos, a folder or URL"
    )
    places.add_argument(
        "--videos",
        type=Path,
        metavar="DIR",
        help="folder of the videos, in place of a store: crops faces on the way",
    )
    add(
        "--column",
        nargs="+",
        metavar="C",
        help="columns of labels (default: all that have no other role)",
    )
    add("--kind", choices=KINDS, help="kind of the labels (default: by their values)")
    add("--group", metavar="C", help="column of groups that no split may divide")
    add("--split", metavar="C", help="column of splits: train, val, test")
    add(
        "--splits",
        type=Path,
        metavar="DIR",
        help="folder with train.txt, val.txt and test.txt, an item per line",
    )
    add(
        "--limit",
        type=positive_integer,
        metavar="N",
        help="only N items, the same ones every time",
    )


def read_table(options: Namespace) -> LabelTable:
    """Reads the labelled items that a command line names.

    Args:
        options: Parsed options of `add_table_arguments`; `labels` or `task` is set.

    Raises:
        UsageError: If the options contradict each other, or the labels cannot be used.
    """
    if options.task is not None:
        table = _read_task(options)
    else:
        for name in ("root", "task_option"):
            if getattr(options, name):
                flag = "--" + name.replace("_", "-")
                raise UsageError(f"{flag} belongs to --task, which is missing.")
        table = read_labels(
            options.labels,
            options.column,
            options.kind,
            group=options.group,
            split=options.split,
        )
    if options.splits is not None:
        table = read_splits(table, options.splits)
    if options.limit is not None:
        table = first_items(table, options.limit)
    return table


def check_source(options: Namespace) -> None:
    """Checks that a store or a folder of videos is named, without opening it.

    Args:
        options: Parsed options of `add_table_arguments`.

    Raises:
        UsageError: If neither is named.
    """
    if options.store is None and options.videos is None:
        raise UsageError(
            "Name the store of the videos with --store, or their folder with --videos."
        )


def find_source(options: Namespace) -> FaceStore | Path:
    """Returns the face store, or the folder of videos, that a command line names.

    Args:
        options: Parsed options of `add_table_arguments`.

    Raises:
        UsageError: If neither is named, --store is no store, or --videos is one.
    """
    from lightly_marlin.evaluation.items.feature_cache import open_if_store
    from lightly_marlin.store.face_store import FaceStore

    check_source(options)
    if options.store is not None:
        return FaceStore(options.store)
    videos: Path = options.videos
    if open_if_store(videos) is not None:
        raise UsageError(f"{videos} is a face store: name it with --store.")
    return videos


def table_digest(table: LabelTable) -> str:
    """Returns a digest of items, stretches, groups, splits and labels, hexadecimal.

    Args:
        table: The items.
    """
    names = (table.items, table.videos, table.groups, table.splits)
    digest = hashlib.blake2b(repr((table.target, names)).encode(), digest_size=8)
    for array in (table.starts, table.ends, table.labels.numpy()):
        digest.update(array.tobytes())
    return digest.hexdigest()


def first_items(table: LabelTable, count: int) -> LabelTable:
    """Returns some items of a table, chosen by a hash of their names.

    Args:
        table: The items.
        count: Number of items to keep; all if there are fewer.
    """

    def key(index: int) -> bytes:
        return hashlib.blake2b(table.items[index].encode(), digest_size=8).digest()

    return table.select(sorted(sorted(range(len(table)), key=key)[:count]))


def _read_task(options: Namespace) -> LabelTable:
    given = [
        "--" + name
        for name in ("column", "kind", "group", "split")
        if getattr(options, name) is not None
    ]
    if options.labels is not None:
        given.insert(0, "LABELS")
    if given:
        raise UsageError(
            f"{given[0]} cannot be combined with --task, which says what it is."
        )
    if options.root is None:
        raise UsageError(f"--task {options.task} needs --root, the data set's folder.")
    task = get_task(options.task)
    return task.table(options.root, **task.parse_options(options.task_option))
