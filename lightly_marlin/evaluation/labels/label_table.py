"""Table of labelled items, whatever data set they come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lightly_marlin.evaluation.labels.target import Target
from lightly_marlin.utils.errors import UsageError

__all__ = ["SPLITS", "LabelTable"]

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class LabelTable:
    """Labelled items: a video each, or a stretch of one.

    Attributes:
        target: Kind and names of the labels.
        items: Unique name of each item.
        videos: Video of each item, a POSIX path; joined with the sources of a store or
            folder by `join_videos`.
        labels: float32 tensor (n, C), see `Target`; NaN where a label is empty.
        starts: float64 array (n,): first second of the item in its video; NaN for the
            beginning.
        ends: float64 array (n,): second before which the item ends; NaN for the end.
        groups: Group of each item, such as a person or recording; a group is never
            divided between splits. None for one group per video.
        splits: "train", "val" or "test" of each item; None if they are to be drawn.
        name: Name of the task, or of the file of labels.
        metrics: Names of sets of metrics that the task adds; see
            `lightly_marlin.evaluation.metrics.metrics`.
        notes: Sentences on the data for the report, such as counts of what is missing.
    """

    target: Target
    items: tuple[str, ...]
    videos: tuple[str, ...]
    labels: Tensor
    starts: npt.NDArray[np.float64]
    ends: npt.NDArray[np.float64]
    groups: tuple[str, ...]
    splits: tuple[str, ...] | None = None
    name: str = "labels"
    metrics: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def make(
        cls,
        target: Target,
        videos: Sequence[str],
        labels: Tensor | Sequence[Sequence[float]],
        *,
        items: Sequence[str] | None = None,
        starts: Sequence[float] | None = None,
        ends: Sequence[float] | None = None,
        groups: Sequence[str] | None = None,
        splits: Sequence[str] | None = None,
        name: str = "labels",
        metrics: Sequence[str] = (),
        notes: Sequence[str] = (),
    ) -> LabelTable:
        """Makes a table, sorted by the names of its items.

        Args:
            target: Kind and names of the labels.
            videos: Video of each item.
            labels: Labels (n, C); NaN where empty.
            items: Names of the items; the videos if left out, with the stretch where
                several items share a video.
            starts: First seconds; NaN for the beginning. All of each video if left out.
            ends: Last seconds; NaN for the end.
            groups: Groups; the videos if left out.
            splits: "train", "val" or "test".
            name: Name of the task.
            metrics: Names of sets of metrics that the task adds.
            notes: Sentences on the data.

        Raises:
            UsageError: If there are no items, a name occurs twice, a split is unknown,
                a label is none of the target, or a stretch ends before it starts; the
                message names the item.
            ValueError: If the arguments are not of one length.
        """
        count = len(videos)
        if count == 0:
            raise UsageError(f"{name} has no items.")
        none = [np.nan] * count
        first = np.array(none if starts is None else starts, np.float64)
        last = np.array(none if ends is None else ends, np.float64)
        for values in (items, first, last, groups, splits):
            if values is not None and len(values) != count:
                raise ValueError(
                    f"Invalid length of items, starts, ends, groups or splits of "
                    f"{name} ({len(values)}). It has to be that of videos, {count}."
                )
        if items is None:
            items = _item_names(videos, first, last)
        groups = videos if groups is None else groups
        table = torch.as_tensor(labels, dtype=torch.float32)
        if table.shape != (count, target.num_columns):
            raise UsageError(
                f"The labels of {name} have shape {tuple(table.shape)}; of {count} "
                f"items and a {target.kind} target it is "
                f"{(count, target.num_columns)}."
            )
        _check_items(name, items, first, last, splits)
        _check_labels(name, target, items, table)
        order = sorted(range(count), key=lambda index: items[index])

        def pick(values: Sequence[str]) -> tuple[str, ...]:
            return tuple(values[index] for index in order)

        return cls(
            target=target,
            items=pick(items),
            videos=pick(videos),
            labels=table[order],
            starts=first[order],
            ends=last[order],
            groups=pick(groups),
            splits=None if splits is None else pick(splits),
            name=name,
            metrics=tuple(metrics),
            notes=tuple(notes),
        )

    def __len__(self) -> int:
        return len(self.items)

    def select(self, indices: Sequence[int]) -> LabelTable:
        """Returns the table of some items.

        Args:
            indices: Indices in [0, n), ascending.
        """

        def pick(values: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(values[index] for index in indices)

        rows = list(indices)
        return replace(
            self,
            items=pick(self.items),
            videos=pick(self.videos),
            labels=self.labels[rows],
            starts=self.starts[rows],
            ends=self.ends[rows],
            groups=pick(self.groups),
            splits=None if self.splits is None else pick(self.splits),
        )

    def with_splits(self, splits: Sequence[str]) -> LabelTable:
        """Returns the same items with other splits.

        Args:
            splits: "train", "val" or "test" of each item.
        """
        return replace(self, splits=tuple(splits))

    def in_split(self, split: str) -> list[int]:
        """Returns the indices of the items of one split; all without splits."""
        if self.splits is None:
            return list(range(len(self)))
        return [index for index, name in enumerate(self.splits) if name == split]

    @property
    def has_stretches(self) -> bool:
        """True if some item is only a stretch of its video."""
        return bool(np.isfinite(self.starts).any() or np.isfinite(self.ends).any())

    def shared_groups(self) -> int:
        """Returns the number of groups that lie in more than one split."""
        pairs = set(zip(self.groups, self.splits or self.groups, strict=True))
        counts = Counter(group for group, _ in pairs)
        return sum(count > 1 for count in counts.values())


def _item_names(
    videos: Sequence[str],
    starts: npt.NDArray[np.float64],
    ends: npt.NDArray[np.float64],
) -> list[str]:
    """Returns the video as the name of an item, with its stretch where it has one."""
    names = []
    for video, start, end in zip(videos, starts, ends, strict=True):
        whole = np.isnan(start) and np.isnan(end)
        low, high = (
            "" if np.isnan(second) else f"{second:.10g}" for second in (start, end)
        )
        names.append(video if whole else f"{video}[{low}:{high}]")
    return names


def _check_items(
    name: str,
    items: Sequence[str],
    starts: npt.NDArray[np.float64],
    ends: npt.NDArray[np.float64],
    splits: Sequence[str] | None,
) -> None:
    twice = [item for item, count in Counter(items).items() if count > 1]
    if twice:
        raise UsageError(
            f"{name} has the item {twice[0]!r} twice. Name every item once, or give "
            "its stretches different start and end."
        )
    # Without a start, an item begins with its video, at 0 s.
    starts = np.nan_to_num(starts)
    wrong = np.flatnonzero(ends <= starts)
    if len(wrong):
        row = wrong[0]
        raise UsageError(
            f"The item {items[row]!r} of {name} ends at {ends[row]:g} s, which is not "
            f"after its start at {starts[row]:g} s."
        )
    for item, split in zip(items, splits or (), strict=bool(splits)):
        if split not in SPLITS:
            raise UsageError(
                f"The item {item!r} of {name} has the split {split!r}. Supported "
                f"values are {', '.join(SPLITS)}."
            )


def _check_labels(
    name: str, target: Target, items: Sequence[str], labels: Tensor
) -> None:
    """Checks that labels are those of their kind, or empty."""
    if target.kind == "regression":
        right, allowed = labels.isfinite(), "finite numbers"
    else:
        classes = len(target.names) if target.kind == "multiclass" else 2
        right = (labels >= 0) & (labels < classes) & (labels == labels.floor())
        allowed = f"whole numbers from 0 to {classes - 1}"
    wrong = (~right & ~labels.isnan()).nonzero()
    if len(wrong):
        row, column = wrong[0].tolist()
        raise UsageError(
            f"The item {items[row]!r} of {name} has the label "
            f"{float(labels[row, column]):g}. Labels of a {target.kind} target are "
            f"{allowed}, or NaN where unknown."
        )
