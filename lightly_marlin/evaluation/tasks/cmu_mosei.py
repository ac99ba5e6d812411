"""CMU-MOSEI: sentiment and six emotions of segments of monologues.

Labels come from `CMU_MOSEI_Labels.csd`, from a CSV of our own columns, or, for classes
of sentiment, from s3prl's CSV; see `mosei_files`. Folds are the SDK's. Segments of one
video form a group.

- [0]: Multimodal Language Analysis in the Wild, 2018
- [1]: https://github.com/CMU-MultiComp-Lab/CMU-MultimodalSDK, CMU_MOSEI/README.md
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.evaluation.labels.target import Target
from lightly_marlin.evaluation.metrics.mosei_metrics import EMOTIONS, sentiment_bins
from lightly_marlin.evaluation.tasks.mosei_files import (
    FOLDS_NAME,
    LABELS_NAME,
    Segment,
    read_folds,
    read_segments,
)
from lightly_marlin.evaluation.tasks.problems import Problems
from lightly_marlin.evaluation.tasks.task import Published, Task
from lightly_marlin.utils.errors import UsageError

__all__ = ["TASKS"]

_PRESETS = ("regression", "classification")
_SEVEN = tuple(str(value) for value in range(-3, 4))


@dataclass(frozen=True)
class _Data:
    """Segments of the folds with what is to be said about them."""

    path: Path
    segments: Sequence[Segment]
    splits: Sequence[str] | None
    notes: Sequence[str]


def sentiment(
    root: Path,
    *,
    labels: str = "",
    folds: str = "",
    preset: str = "regression",
    classes: int = 7,
) -> LabelTable:
    """Returns the sentiment of all segments.

    Args:
        root: Folder of labels and folds.
        labels: The labels, a .csd or .csv; found below the root if empty.
        folds: The folds, see `read_folds`; `cmu_mosei_std_folds.py` below the root if
            empty. A CSV with a column split needs none.
        preset: "regression" for values in [-3, 3], or "classification".
        classes: Number of classes: 7, the bins of [1] (not rounded), or 2, which is a
            binary target "nonnegative" (value >= 0).

    Raises:
        UsageError: If an option is invalid, or a file is not what it should be.
    """
    if preset not in _PRESETS:
        raise UsageError(
            f"Invalid preset {preset!r} of cmu_mosei_sentiment. Supported values are "
            f"{', '.join(_PRESETS)}."
        )
    if classes not in (2, 7):
        raise UsageError(
            f"Invalid classes {classes} of cmu_mosei_sentiment. Supported values are "
            "2, 7."
        )
    data = _read(root, labels, folds)
    if preset == "regression":
        _need_values(data, "the preset regression of cmu_mosei_sentiment")
        values, notes = _values(data, slice(0, 1), (-3.0, 3.0))
        target, metrics = Target("regression", ("sentiment",)), ("mosei_sentiment",)
        return _table("cmu_mosei_sentiment", target, data, values, notes, metrics)
    two, seven = _classes(data)
    if classes == 2:
        target, column = Target("binary", ("nonnegative",)), two
    else:
        target, column = Target("multiclass", _SEVEN), seven + 3
    return _table("cmu_mosei_sentiment", target, data, column[:, None])


def emotion(root: Path, *, labels: str = "", folds: str = "") -> LabelTable:
    """Returns six labels of emotion: present if their value is above 0 [1].

    Several may be present, or none. See `sentiment` for the files.
    """
    data = _read(root, labels, folds)
    _need_values(data, "cmu_mosei_emotion")
    values, notes = _values(data, slice(1, 7), (0.0, 3.0))
    present = torch.where(values.isnan(), values, (values > 0).float())
    target = Target("multilabel", EMOTIONS)
    return _table("cmu_mosei_emotion", target, data, present, notes, ("mosei_emotion",))


def _read(root: Path, labels: str, folds: str) -> _Data:
    """Reads labels and folds; leaves out what is in no fold."""
    path = _find_labels(root, labels)
    segments = read_segments(path)
    if not segments:
        raise UsageError(f"{path} has no segments.")
    _check_times(path, segments)
    notes = []
    early = sum(segment.start < 0 for segment in segments)
    if early:
        notes.append(f"Segments that start below 0 s, cut to 0 s: {early:,}.")
    splits = _splits(root, folds, path, segments)
    if splits is None:
        return _Data(path, segments, None, notes)
    pairs = list(zip(segments, splits, strict=True))
    lost = {segment.video for segment, split in pairs if not split}
    if lost:
        notes.append(
            f"Segments in no fold, left out: {splits.count(''):,} of {len(lost):,} "
            "videos."
        )
    if not any(splits):
        raise UsageError(f"No video of {path} is in a fold: the ids do not match.")
    kept = [segment for segment, split in pairs if split]
    return _Data(path, kept, [split for split in splits if split], notes)


def _splits(
    root: Path, folds: str, path: Path, segments: Sequence[Segment]
) -> list[str] | None:
    """Returns the split of each segment, "" for none; None if they are to be drawn."""
    if not folds and segments[0].split is not None:
        return [segment.split or "" for segment in segments]
    place = Path(folds) if folds else root / FOLDS_NAME
    # A csd without folds is half of the data set; a CSV may be one's own.
    if not folds and path.suffix.lower() == ".csv" and not place.exists():
        return None
    split_of = read_folds(place)
    return [split_of.get(segment.video, "") for segment in segments]


def _find_labels(root: Path, labels: str) -> Path:
    if labels:
        return Path(labels)
    if (root / LABELS_NAME).exists():
        return root / LABELS_NAME
    found = sorted(root.glob("*.csv"))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "no CSV"
        raise UsageError(
            f"The folder {root} has no {LABELS_NAME}, and {names}. Name the labels "
            "with the option labels."
        )
    return found[0]


def _check_times(path: Path, segments: Sequence[Segment]) -> None:
    problems = Problems(path)
    for segment in segments:
        # A negated comparison also finds NaN.
        if not max(0.0, segment.start) < segment.end < float("inf"):
            problems.add(
                f"segment {segment.index} of video {segment.video} goes from "
                f"{segment.start:g} to {segment.end:g} s"
            )
    problems.report()


def _need_values(data: _Data, what: str) -> None:
    if data.segments[0].values is None:
        raise UsageError(
            f"{data.path} holds classes of sentiment, no values, but {what} needs "
            "values: take the csd. From this file there are preset=classification with "
            "classes=2 or 7. Its emotions (label6) are the largest of six values, "
            "where all zero counts as happy: they are not read."
        )


def _values(
    data: _Data, columns: slice, limits: tuple[float, float]
) -> tuple[Tensor, list[str]]:
    """Returns values within limits, float32 (n, columns), and a note on the others."""
    rows = [segment.values or () for segment in data.segments]
    values = torch.tensor([row[columns] for row in rows], dtype=torch.float32)
    low, high = limits
    outside = int(((values < low) | (values > high)).sum())
    notes = []
    if outside:
        notes.append(f"Values outside [{low:g}, {high:g}], cut to it: {outside:,}.")
    return values.clamp(low, high), notes


def _classes(data: _Data) -> tuple[Tensor, Tensor]:
    """Returns non-negative (0 or 1) and the class in [-3, 3], float32 (n,) each."""
    if data.segments[0].classes is not None:
        pairs = torch.tensor([segment.classes for segment in data.segments])
        return pairs[:, 0].float(), pairs[:, 1].float()
    value = _values(data, slice(0, 1), (-3.0, 3.0))[0][:, 0]
    nonnegative = torch.where(value.isnan(), value, (value >= 0).float())
    return nonnegative, sentiment_bins(value)


def _table(
    name: str,
    target: Target,
    data: _Data,
    labels: Tensor,
    notes: Sequence[str] = (),
    metrics: Sequence[str] = (),
) -> LabelTable:
    segments = data.segments
    return LabelTable.make(
        target,
        [f"{segment.video}.mp4" for segment in segments],
        labels,
        items=[f"{segment.video}[{segment.index}]" for segment in segments],
        starts=[max(0.0, segment.start) for segment in segments],
        ends=[segment.end for segment in segments],
        groups=[segment.video for segment in segments],
        splits=data.splits,
        name=name,
        metrics=metrics,
        notes=[*data.notes, *notes],
    )


def _published(
    rule: str, note: str, values: Sequence[tuple[str, float]]
) -> tuple[Published, ...]:
    return tuple(
        Published(f"MARLIN, {size}", {f"accuracy, {rule}": value}, note)
        for size, value in values
    )


_SPLIT_UNKNOWN = "the split and the treatment of segments without a face are not stated"

TASKS = (
    Task(
        "cmu_mosei_sentiment",
        sentiment,
        primary=("mae", "acc2/nonnegative", "acc2/positive", "acc7/sdk_bins"),
        published=_published(
            "two classes, zeros unknown",
            f"it is not stated which side zero is on, or whether it is left out; "
            f"{_SPLIT_UNKNOWN}",
            [("small", 0.7269), ("base", 0.7370), ("large", 0.7483)],
        ),
    ),
    Task(
        "cmu_mosei_emotion",
        emotion,
        primary=("emotion/weighted_accuracy", "emotion/auc"),
        published=_published(
            "average unknown",
            f"it is not stated how the six emotions are averaged; {_SPLIT_UNKNOWN}",
            [("small", 0.8038), ("base", 0.8060)],
        ),
    ),
)
"""Tasks of this data set."""
