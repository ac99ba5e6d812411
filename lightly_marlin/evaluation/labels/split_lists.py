"""Splits from lists of names: train.txt, val.txt and test.txt, one name per line."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from lightly_marlin.evaluation.labels.joining import join_videos
from lightly_marlin.evaluation.labels.label_table import SPLITS, LabelTable
from lightly_marlin.utils.errors import UsageError

__all__ = ["read_splits"]


def read_splits(table: LabelTable, folder: Path | str) -> LabelTable:
    """Takes the splits of a table from lists, as the reference of MARLIN writes them.

    Args:
        table: The table; splits that it has are replaced.
        folder: Folder with train.txt, test.txt and perhaps val.txt. Each line is an
            item or a video, with or without suffix, by the rules of `join_videos`; a
            video stands for all its items. Empty lines do not count.

    Returns:
        The items that are in a list. Notes count the names that fit nothing, and the
        items that are in no list.

    Raises:
        UsageError: If a list cannot be read or is missing, an item is in two lists, a
            name fits several videos, or no name fits.
    """
    folder = Path(folder)
    by_item = {item: [index] for index, item in enumerate(table.items)}
    by_video: dict[str | None, list[int]] = defaultdict(list)
    for index, video in enumerate(table.videos):
        by_video[video].append(index)
    splits: dict[int, str] = {}
    unknown: list[str] = []
    for split in SPLITS:
        names = _read_list(folder / f"{split}.txt", required=split != "val")
        videos = [name for name in names if name not in by_item]
        joined = dict(zip(videos, join_videos(videos, table.videos), strict=True))
        unknown += [name for name, video in joined.items() if video is None]
        for name in names:
            for index in by_item.get(name) or by_video.get(joined[name], []):
                if splits.setdefault(index, split) != split:
                    raise UsageError(
                        f"The item {table.items[index]!r} of {table.name} is in "
                        f"{splits[index]}.txt and {split}.txt of {folder}. Delete it "
                        "from one of them."
                    )
    if not splits:
        raise UsageError(
            f"None of the {len(unknown)} names in the lists of {folder} is an item of "
            f"{table.name}, such as {table.items[0]!r}."
        )
    return _with_lists(table, splits, unknown, folder)


def _with_lists(
    table: LabelTable, splits: dict[int, str], unknown: list[str], folder: Path
) -> LabelTable:
    notes = []
    if unknown:
        notes.append(
            f"{len(unknown)} names in the lists of {folder} are no items, such as "
            f"{unknown[0]!r}."
        )
    absent = len(table) - len(splits)
    if absent:
        left_out = next(index for index in range(len(table)) if index not in splits)
        notes.append(
            f"{absent} items are in none of the lists of {folder} and left out, such "
            f"as {table.items[left_out]!r}."
        )
    kept = table.select(sorted(splits)).with_splits(
        [splits[index] for index in sorted(splits)]
    )
    return replace(kept, notes=(*kept.notes, *notes))


def _read_list(path: Path, *, required: bool) -> list[str]:
    if not required and not path.exists():
        return []
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(
            f"The list {path} cannot be read: {error.strerror or error}. A folder of "
            "splits has train.txt and test.txt, and perhaps val.txt."
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"The list {path} is not UTF-8 text: {error.reason}."
        ) from error
    return [line.strip() for line in text.splitlines() if line.strip()]
