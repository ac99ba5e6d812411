"""Features of labelled items: rows of windows, and which item they belong to.

They are extracted once into a cache of files, which any number of encoders, tables and
probes may share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from lightly_marlin.evaluation.items.feature_cache import FeatureCache
from lightly_marlin.evaluation.items.item_rows import choose_rows, stretch_of
from lightly_marlin.evaluation.labels.joining import join_videos
from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.features.feature_ledger import FeatureRecord, FeatureRow
from lightly_marlin.features.options import ExtractionOptions
from lightly_marlin.features.window_model import AnyModel, encoder_of
from lightly_marlin.store.crop_options import CropOptions
from lightly_marlin.store.face_store import FaceStore
from lightly_marlin.utils.errors import UsageError

__all__ = ["ItemFeatures", "ItemStatus", "item_features"]

ItemStatus = Literal["ok", "missing", "no_face", "failed"]


@dataclass(frozen=True, eq=False)
class ItemFeatures:
    """Features of the windows of labelled items.

    Attributes:
        features: Floating-point tensor (rows, D), or (rows, N, D) with tokens.
        item_of_row: int64 tensor (rows,), ascending: index of each row's item in the
            table.
        statuses: "ok", "missing" (no such video), "no_face" or "failed" of each item of
            the table. Only items that are "ok" have rows.
        reasons: Why an item has no rows; None where it has.
        model: Name, digest of the weights and sizes of the encoder, for the result.
        options: Crops, windows, precision and reduction, for the result.
    """

    features: Tensor
    item_of_row: Tensor
    statuses: tuple[ItemStatus, ...]
    reasons: tuple[str | None, ...]
    model: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def rows_of(self, items: Sequence[int]) -> Tensor:
        """Returns the indices of the rows of some items, int64, ascending.

        Args:
            items: Indices of items in the table.
        """
        wanted = torch.zeros(len(self.statuses), dtype=torch.bool)
        wanted[torch.as_tensor(items, dtype=torch.int64)] = True
        return wanted[self.item_of_row].nonzero()[:, 0]

    def window_counts(self) -> Tensor:
        """Returns the number of rows of every item, int64 (n,)."""
        return self.item_of_row.bincount(minlength=len(self.statuses))

    def mean_of_windows(self) -> ItemFeatures:
        """Returns one row per item that has any: the mean over its windows."""
        counts = self.window_counts()
        sums = torch.zeros(
            len(counts), *self.features.shape[1:], dtype=self.features.dtype
        ).index_add_(0, self.item_of_row, self.features)
        items = counts.nonzero()[:, 0]
        shape = (-1,) + (1,) * (self.features.ndim - 1)
        means = sums[items] / counts[items].reshape(shape)
        return ItemFeatures(
            means, items, self.statuses, self.reasons, self.model, self.options
        )

    def subset(self, items: Sequence[int]) -> ItemFeatures:
        """Returns the features of some items, for `LabelTable.select` of the same.

        Args:
            items: Indices of items in the table, ascending.
        """
        rows = self.rows_of(items)
        place = torch.full((len(self.statuses),), -1, dtype=torch.int64)
        place[torch.as_tensor(items, dtype=torch.int64)] = torch.arange(len(items))
        return ItemFeatures(
            self.features[rows],
            place[self.item_of_row[rows]],
            tuple(self.statuses[index] for index in items),
            tuple(self.reasons[index] for index in items),
            self.model,
            self.options,
        )


def item_features(
    encoder: AnyModel,
    table: LabelTable,
    source: FaceStore | Path | str,
    *,
    cache: Path | str,
    precision: str = "32",
    tokens: bool = False,
    pool_tokens: int | None = None,
    all_faces: bool = False,
    whole_frames: bool = False,
    crops: CropOptions | None = None,
    sample_rate: int = 2,
    stride: int = 16,
    batch_size: int | None = None,
    num_workers: int | None = 0,
) -> ItemFeatures:
    """Extracts the features of labelled items, or reads them from the cache.

    Only videos that the table names are read. An item has the windows whose middle lies
    in its stretch, or one of its own if it is too short for that, of the main face in
    its seconds; see `choose_rows`. The rows are in the order of the table's items, then
    by track, then by time. They do not depend on what is in the cache.

    Args:
        encoder: An encoder or another `WindowModel`, such as `HistogramFeatures`, or a
            whole model for its encoder, on any device.
        table: The items.
        source: A face store or its folder; or videos (a folder, a file or a glob
            pattern), whose faces are found and cropped on the way.
        cache: Folder of extracted features; each encoder with its options and source
            has a folder of its own in it. Killed and run again, it goes on.
        precision: "32" or "bf16".
        tokens: Return the features of every token, in half precision, instead of their
            mean.
        pool_tokens: With `tokens`, average them over squares of this many by this many
            patches; 2 where that divides a frame, otherwise 1, if left out.
        all_faces: Take the windows of every face instead of those of the main one.
        whole_frames: The frames of the videos are crops of a face: find none in them.
        crops: Options of search and crops in videos; the defaults if left out.
        sample_rate: Interval between the frames of a window, in frames of the video.
        stride: Distance between the starts of windows, in sampled frames.
        batch_size: Windows that are encoded together; see `WindowEncoder`.
        num_workers: Processes that read and crop; None for one per available core, 0
            for this process.

    Returns:
        The features, with a status for every item.

    Raises:
        UsageError: If an option is invalid, the source cannot be read, none of the
            table's videos is in it, the cache cannot be written, or a feature is not
            finite; the message names the item.
    """
    if pool_tokens is None:
        _, *sides = encoder_of(encoder).config.grid
        pool_tokens = 1 if any(side % 2 for side in sides) else 2
    options = ExtractionOptions(
        sample_rate=sample_rate,
        stride=stride,
        keep_seq=tokens,
        pool_tokens=pool_tokens if tokens else 1,
        dtype="float16" if tokens else "float32",
    )
    features_of = FeatureCache(
        encoder,
        source,
        Path(cache),
        options,
        # The main face of a stretch need not be that of the whole video.
        all_faces=all_faces or table.has_stretches,
        whole_frames=whole_frames,
        crops=crops,
        precision=precision,
        batch_size=batch_size,
        num_workers=num_workers,
    )
    sources = features_of.sources()
    names = join_videos(table.videos, sources)
    if not any(name is not None for name in names):
        raise UsageError(
            f"None of the {len(table)} items of {table.name} has its video in "
            f"{features_of.where}: the first is {table.videos[0]!r}, and there are "
            f"{len(sources)} videos such as {sources[0]!r}."
        )
    stretches = [stretch_of(table, item) for item in range(len(table))]
    records = features_of.extract(names, stretches)
    chosen: list[list[FeatureRow]] = []
    outcomes: list[tuple[ItemStatus, str | None]] = []
    for item, name in enumerate(names):
        record = None if name is None else records[name]
        rows = [] if record is None else record.rows
        chosen.append(choose_rows(rows, stretches[item], all_faces=all_faces))
        outcome = _outcome(table.videos[item], record, features_of.finds_faces)
        outcomes.append(("ok", None) if chosen[-1] else outcome)
    counts = torch.tensor([len(rows) for rows in chosen])
    files = [None if name is None else records[name].file for name in names]
    return ItemFeatures(
        _read(features_of, files, chosen, table),
        torch.arange(len(table)).repeat_interleave(counts),
        tuple(status for status, _ in outcomes),
        tuple(reason for _, reason in outcomes),
        features_of.model(),
        {**features_of.describe(records.values()), "all_faces": all_faces},
    )


def _outcome(
    video: str, record: FeatureRecord | None, finds_faces: bool
) -> tuple[ItemStatus, str | None]:
    """Returns status and reason of an item without rows."""
    if record is None:
        return "missing", f"there is no video {video}"
    if record.status != "ok":
        return record.status, record.reason
    if finds_faces:
        return "no_face", "no face track is in its seconds of the video"
    return "failed", "no frame of the video is in its seconds"


def _read(
    features_of: FeatureCache,
    files: Sequence[str | None],
    chosen: Sequence[Sequence[FeatureRow]],
    table: LabelTable,
) -> Tensor:
    """Reads the rows of all items; of a file, only the rows that are needed."""
    total = sum(len(rows) for rows in chosen)
    features = torch.empty(total, *features_of.shape, dtype=features_of.dtype)
    place = 0
    for item, (file, rows) in enumerate(zip(files, chosen, strict=True)):
        if file is None or not rows:
            continue
        array = np.load(features_of.folder / file, mmap_mode="r")
        values = torch.from_numpy(array[[row.row for row in rows]])
        if not values.isfinite().all():
            raise UsageError(
                f"The features of the item {table.items[item]!r} are not finite. Check "
                "the weights of the encoder."
            )
        features[place : place + len(rows)] = values
        place += len(rows)
    return features
