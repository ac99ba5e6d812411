"""Files of CMU-MOSEI: segments from a csd or CSV, and the folds of their videos.

- [0]: https://github.com/CMU-MultiComp-Lab/CMU-MultimodalSDK (csd and folds)
- [1]: https://github.com/s3prl/s3prl, downstream/mosei (CSV of classes)
"""

from __future__ import annotations

import ast
import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lightly_marlin.evaluation.labels.label_table import SPLITS
from lightly_marlin.evaluation.tasks.problems import Problems
from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.errors import UsageError

__all__ = [
    "COLUMNS",
    "FOLDS_NAME",
    "LABELS_NAME",
    "Segment",
    "read_folds",
    "read_segments",
]

COLUMNS = ("sentiment", "happy", "sad", "anger", "surprise", "disgust", "fear")
"""Values of a segment, in the order of the csd."""

LABELS_NAME = "CMU_MOSEI_Labels.csd"
FOLDS_NAME = "cmu_mosei_std_folds.py"

_ROOT_KEY = "All Labels"

_VARIABLES = {
    "train": "standard_train_fold",
    "val": "standard_valid_fold",
    "test": "standard_test_fold",
}

# The classes of s3prl's CSV: non-negative, and the seven bins of the SDK.
_CLASS_COLUMNS = ("label2a", "label7")
_S3PRL_SPLITS = {"0": "train", "1": "val", "2": "test", "3": ""}


@dataclass(frozen=True)
class Segment:
    """Segment of a video.

    Attributes:
        video: Name of the video.
        index: Index of the segment within its video in the file.
        start: First second; some are below 0.
        end: Second before which it ends.
        values: The seven `COLUMNS`, NaN where empty; None in a file of classes.
        classes: Whether it is non-negative, and its class in [-3, 3]; None in a file of
            values.
        split: "train", "val", "test", "" for none of them; None if the file has no
            splits.
    """

    video: str
    index: int
    start: float
    end: float
    values: tuple[float, ...] | None = None
    classes: tuple[int, int] | None = None
    split: str | None = None


def read_segments(path: Path) -> list[Segment]:
    """Reads the segments of a csd, of our own CSV or of s3prl's.

    Args:
        path: A file with suffix .csd or .csv. Our own CSV has the columns video, start,
            end, the seven `COLUMNS` and, if its folds are known, split.

    Raises:
        UsageError: If it cannot be read or is of another form; the message names keys,
            videos or rows.
    """
    if not path.is_file():
        raise UsageError(
            f"There are no labels {path} of CMU-MOSEI: name a .csd or .csv with the "
            "option labels."
        )
    return _read_csv(path) if path.suffix.lower() == ".csv" else _read_csd(path)


def _read_csd(path: Path) -> list[Segment]:
    h5py = require("h5py", "Reading the labels of CMU-MOSEI")
    problems = Problems(path)
    segments: list[Segment] = []
    try:
        with h5py.File(path, "r") as file:
            data = _videos(file, h5py, path)
            for video in data:
                segments += _read_video(video, data[video], problems)
    except OSError as error:
        raise UsageError(f"{path} cannot be read as HDF5: {error}.") from error
    problems.report()
    return segments


def _videos(file: Any, h5py: Any, path: Path) -> Any:
    """Returns the group of all videos."""
    if _ROOT_KEY not in file:
        raise UsageError(
            f"{path} is another version of the labels: it lacks the key "
            f"{_ROOT_KEY!r} and has {', '.join(map(repr, file)) or 'none'}. Take "
            f"{LABELS_NAME}."
        )
    data = file[_ROOT_KEY].get("data") if hasattr(file[_ROOT_KEY], "get") else None
    if not isinstance(data, h5py.Group) or not len(data):
        raise UsageError(f"{path} lacks the key '{_ROOT_KEY}/data', or it is empty.")
    return data


def _read_video(video: str, group: Any, problems: Problems) -> list[Segment]:
    arrays = {}
    for key, width in (("features", len(COLUMNS)), ("intervals", 2)):
        if not hasattr(group, "keys") or key not in group:
            problems.add(f"video {video} lacks the key {key}")
            return []
        arrays[key] = np.asarray(group[key], np.float64)
        if arrays[key].ndim != 2 or arrays[key].shape[1] != width:
            problems.add(
                f"{key} of video {video} has shape {arrays[key].shape}, not "
                f"(n, {width})"
            )
            return []
    values, intervals = arrays["features"], arrays["intervals"]
    if len(values) != len(intervals):
        problems.add(
            f"video {video} has {len(values)} features and {len(intervals)} intervals"
        )
        return []
    return [
        Segment(video, index, start, end, values=tuple(row))
        for index, (row, (start, end)) in enumerate(
            zip(values.tolist(), intervals.tolist(), strict=True)
        )
    ]


def _read_csv(path: Path) -> list[Segment]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = set(reader.fieldnames or ())
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read as CSV in UTF-8: {error}.") from error
    is_classes = set(_CLASS_COLUMNS) <= columns
    own = ("video", "start", "end", *COLUMNS)
    wanted = ("file", "start", "end", *_CLASS_COLUMNS, "split") if is_classes else own
    missing = [column for column in wanted if column not in columns]
    if missing:
        raise UsageError(
            f"{path} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}. "
            f"Supported are {', '.join(own)} and, if known, split; or the file of "
            "s3prl."
        )
    problems = Problems(path)
    counts: dict[str, int] = {}
    segments = []
    for number, row in rows:
        try:
            video = row["file" if is_classes else "video"].strip()
            index = counts[video] = counts.get(video, -1) + 1
            read = _class_row if is_classes else _value_row
            segments.append(read(video, index, row))
        except (ValueError, AttributeError, TypeError) as error:
            # A short row has None in its last columns.
            problems.add(f"row {number}: {error}")
    problems.report()
    return segments


def _value_row(video: str, index: int, row: Mapping[str, str]) -> Segment:
    split = row.get("split")
    if split is not None and split not in (*SPLITS, ""):
        raise ValueError(
            f"invalid split {split!r}, must be {', '.join(SPLITS)} or empty"
        )
    values = [_number(row, column, empty=math.nan) for column in COLUMNS]
    times = _number(row, "start"), _number(row, "end")
    return Segment(video, index, *times, values=tuple(values), split=split)


def _class_row(video: str, index: int, row: Mapping[str, str]) -> Segment:
    if row["split"] not in _S3PRL_SPLITS:
        raise ValueError(f"invalid split {row['split']!r}, must be 0, 1, 2 or 3")
    nonnegative, seven = (int(_number(row, column)) for column in _CLASS_COLUMNS)
    if nonnegative not in (0, 1) or not -3 <= seven <= 3:
        raise ValueError(f"invalid classes {nonnegative} and {seven}")
    times = _number(row, "start"), _number(row, "end")
    split = _S3PRL_SPLITS[row["split"]]
    return Segment(video, index, *times, classes=(nonnegative, seven), split=split)


def _number(row: Mapping[str, str], column: str, empty: float | None = None) -> float:
    text = row[column].strip()
    if not text and empty is not None:
        return empty
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"invalid {column} {text!r}, must be a number") from None


def read_folds(path: Path) -> dict[str, str]:
    """Reads the split of each video.

    Args:
        path: The SDK's `cmu_mosei_std_folds.py` (its lists are read, it is not run), a
            JSON object with the lists train, val and test, or a folder with
            train.txt, val.txt and test.txt, a video per line.

    Returns:
        "train", "val" or "test" of each video.

    Raises:
        UsageError: If it cannot be read, lacks a fold, or a video is in two.
    """
    try:
        if path.is_dir():
            folds = {
                split: (path / f"{split}.txt").read_text(encoding="utf-8").split()
                for split in SPLITS
            }
        elif path.suffix == ".py":
            folds = _python_lists(path)
        else:
            folds = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"The folds {error.filename} cannot be read: {error.strerror}. Take "
            f"{FOLDS_NAME} of CMU-MultimodalSDK, or name a file with the option folds."
        ) from error
    except (ValueError, SyntaxError) as error:
        raise UsageError(f"The folds {path} cannot be read: {error}.") from error
    split_of: dict[str, str] = {}
    for split in SPLITS:
        fold = folds.get(split) if isinstance(folds, dict) else None
        if not isinstance(fold, list) or not fold:
            raise UsageError(f"The folds {path} have no list of videos for {split}.")
        for video in map(str, fold):
            if split_of.setdefault(video, split) != split:
                raise UsageError(
                    f"The folds {path} have the video {video!r} in {split_of[video]} "
                    f"and in {split}."
                )
    return split_of


def _python_lists(path: Path) -> dict[str, Any]:
    """Returns the literal lists that a Python file assigns, without running it."""
    found = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            for split, variable in _VARIABLES.items():
                if node.targets[0].id == variable:
                    found[split] = ast.literal_eval(node.value)
    return found
