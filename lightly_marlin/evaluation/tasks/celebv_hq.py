"""CelebV-HQ: appearance (40 labels), action (35) and emotion (8 classes) of clips.

The annotation `celebvhq_info.json` names its attributes itself. Clips of one YouTube
video form a group. There is no official split: without `splits`, groups are divided by
hash; with it, `train.txt`, `val.txt` and `test.txt` of the reference are read, which
put clips of one video on both sides. Whether two videos show one person is unknown.

- [0]: CelebV-HQ: A Large-Scale Video Facial Attributes Dataset, 2022
- [1]: https://github.com/CelebV-HQ/CelebV-HQ (the annotation's form)
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.evaluation.labels.split_lists import read_splits
from lightly_marlin.evaluation.labels.target import Target
from lightly_marlin.evaluation.tasks.problems import Problems
from lightly_marlin.evaluation.tasks.task import Published, Task
from lightly_marlin.utils.errors import UsageError

__all__ = ["EMOTIONS", "TASKS"]

_ANNOTATION = "celebvhq_info.json"

EMOTIONS = (
    "anger",
    "contempt",
    "disgust",
    "fear",
    "happy",
    "neutral",
    "sadness",
    "surprise",
)
"""Emotions of the annotation, which lists the names of its other labels only."""

Clips = Mapping[str, Any]


def appearance(root: Path, *, annotation: str = "", splits: str = "") -> LabelTable:
    """Returns the appearance attributes of all clips.

    Args:
        root: Folder of the annotation.
        annotation: The annotation; `celebvhq_info.json` below the root if empty.
        splits: Folder with train.txt, val.txt and test.txt, a clip per line.

    Raises:
        UsageError: If the annotation is not what [1] describes; all faults in one go.
    """
    return _attributes("appearance", root, annotation, splits)


def action(root: Path, *, annotation: str = "", splits: str = "") -> LabelTable:
    """Returns the action attributes of all clips; see `appearance`."""
    return _attributes("action", root, annotation, splits)


def emotion(
    root: Path, *, annotation: str = "", splits: str = "", segments: bool = True
) -> LabelTable:
    """Returns the emotions of clips and of segments of clips; see `appearance`.

    Args:
        root: Folder of the annotation.
        annotation: The annotation.
        splits: Folder with train.txt, val.txt and test.txt.
        segments: Whether segments of clips with several emotions are items, too.
    """
    path, values = _read(root, annotation)
    problems = Problems(path)
    clips = _clips(values, problems)
    items, names, starts, ends, labels = [], [], [], [], []
    left_out = 0
    for name, clip in clips.items():
        for item, label, start, end in _emotions(name, clip, problems):
            if item != name and not segments:
                left_out += 1
                continue
            items.append(item)
            names.append(name)
            labels.append([float(EMOTIONS.index(label))])
            starts.append(start)
            ends.append(end)
    problems.report()
    notes = []
    if left_out:
        notes.append(f"Segments with an emotion of their own, left out: {left_out:,}.")
    table = LabelTable.make(
        Target("multiclass", EMOTIONS),
        [f"{name}.mp4" for name in names],
        labels,
        items=items,
        starts=starts,
        ends=ends,
        groups=[str(clips[name]["ytb_id"]) for name in names],
        name="celebv_hq_emotion",
        notes=notes,
    )
    return _with_splits(table, splits)


def _attributes(kind: str, root: Path, annotation: str, splits: str) -> LabelTable:
    path, values = _read(root, annotation)
    problems = Problems(path)
    names = _names(values, kind, problems)
    clips = _clips(values, problems)
    rows = {
        name: _flags(name, clip, kind, len(names), problems)
        for name, clip in clips.items()
    }
    problems.report()
    table = LabelTable.make(
        Target("multilabel", names),
        [f"{name}.mp4" for name in clips],
        list(rows.values()),
        items=list(clips),
        groups=[str(clip["ytb_id"]) for clip in clips.values()],
        name=f"celebv_hq_{kind}",
    )
    return _with_splits(table, splits)


def _read(root: Path, annotation: str) -> tuple[Path, Mapping[str, Any]]:
    path = Path(annotation) if annotation else root / _ANNOTATION
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"The annotation {path} of CelebV-HQ cannot be read: "
            f"{error.strerror or error}. Name it with the option annotation."
        ) from error
    except ValueError as error:
        raise UsageError(f"{path} is not JSON: {error}.") from error
    if not isinstance(values, dict):
        raise UsageError(f"{path} holds a {type(values).__name__}, not an object.")
    return path, values


def _names(values: Mapping[str, Any], kind: str, problems: Problems) -> tuple[str, ...]:
    """Returns the names of the attributes of a kind, from the file itself."""
    meta = values.get("meta_info")
    names = meta.get(f"{kind}_mapping") if isinstance(meta, dict) else None
    if not isinstance(names, list) or not names:
        problems.add(f"the key meta_info.{kind}_mapping is missing or not a list")
        return ()
    texts = tuple(map(str, names))
    if len(set(texts)) < len(texts):
        problems.add(f"meta_info.{kind}_mapping has a name twice")
    return texts


def _clips(values: Mapping[str, Any], problems: Problems) -> Clips:
    """Returns the clips that are objects with a video and attributes."""
    clips = values.get("clips")
    if not isinstance(clips, dict) or not clips:
        problems.add("the key clips is missing or empty")
        return {}
    good = {}
    for name, clip in clips.items():
        if not isinstance(clip, dict):
            problems.add(f"clip {name} is not an object")
            continue
        missing = [key for key in ("ytb_id", "attributes") if key not in clip]
        if missing:
            problems.add(f"clip {name} lacks {' and '.join(missing)}")
        elif not isinstance(clip["attributes"], dict):
            problems.add(f"attributes of clip {name} are not an object")
        else:
            good[name] = clip
    return good


def _flags(
    name: str, clip: Any, kind: str, count: int, problems: Problems
) -> list[float]:
    """Returns the attributes of a clip, 0 or 1 each."""
    flags = clip["attributes"].get(kind)
    if not isinstance(flags, list):
        problems.add(f"clip {name} lacks attributes.{kind}")
        return []
    # Without names, their number cannot be judged.
    if count and len(flags) != count:
        problems.add(
            f"clip {name} has {len(flags)} values of {kind}, not the {count} of "
            "meta_info"
        )
    wrong = [flag for flag in flags if flag not in (0, 1)]
    if wrong:
        problems.add(f"clip {name} has the value {wrong[0]!r} of {kind}, not 0 or 1")
        return []
    return [float(flag) for flag in flags]


def _emotions(
    name: str, clip: Any, problems: Problems
) -> list[tuple[str, str, float, float]]:
    """Returns item, emotion, start and end of a clip, or of each of its segments."""
    emotion = clip["attributes"].get("emotion")
    keys = ("sep_flag", "labels")
    if not isinstance(emotion, dict) or any(key not in emotion for key in keys):
        problems.add(f"clip {name} lacks attributes.emotion with sep_flag and labels")
        return []
    labels = emotion["labels"]
    if not emotion["sep_flag"]:
        if labels not in EMOTIONS:
            problems.add(f"clip {name} has the unknown emotion {labels!r}")
            return []
        return [(name, labels, math.nan, math.nan)]
    if not isinstance(labels, list) or not labels:
        problems.add(f"clip {name} has sep_flag, but no list of segments")
        return []
    found = []
    for index, segment in enumerate(labels):
        fault = _fault_of_segment(segment)
        if fault:
            problems.add(f"segment {index} of clip {name} {fault}")
            continue
        times = float(segment["start_sec"]), float(segment["end_sec"])
        found.append((f"{name}[{index}]", segment["emotion"], *times))
    return found


def _fault_of_segment(segment: Any) -> str | None:
    keys = ("emotion", "start_sec", "end_sec")
    missing = [
        key for key in keys if not isinstance(segment, dict) or key not in segment
    ]
    if missing:
        return f"lacks {' and '.join(missing)}"
    if segment["emotion"] not in EMOTIONS:
        return f"has the unknown emotion {segment['emotion']!r}"
    start, end = segment["start_sec"], segment["end_sec"]
    for second in (start, end):
        if isinstance(second, bool) or not isinstance(second, int | float):
            return f"has the time {second!r}, not seconds"
    # A negated comparison also finds NaN.
    if not 0 <= start < end < math.inf:
        return f"goes from {start} to {end} s"
    return None


def _with_splits(table: LabelTable, folder: str) -> LabelTable:
    return read_splits(table, folder) if folder else table


_OTHER_SPLIT = (
    "another split: the reference takes clips in the order of its file listing, so "
    "that clips of one video are in training and in test; the size of the encoder and "
    "whether it was fine-tuned are not stated"
)

TASKS = (
    Task(
        "celebv_hq_appearance",
        appearance,
        primary=("auc/flat", "auc/mean"),
        published=(
            Published(
                "MARLIN", {"accuracy/flat": 0.9390, "auc/flat": 0.9561}, _OTHER_SPLIT
            ),
        ),
    ),
    Task(
        "celebv_hq_action",
        action,
        primary=("auc/flat", "auc/mean"),
        published=(
            Published(
                "MARLIN", {"accuracy/flat": 0.9548, "auc/flat": 0.9406}, _OTHER_SPLIT
            ),
        ),
    ),
    Task("celebv_hq_emotion", emotion, primary=("balanced_accuracy",)),
)
"""Tasks of this data set."""
