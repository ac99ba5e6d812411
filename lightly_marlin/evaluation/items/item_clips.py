"""Clips of labelled items from a face store: random ones to train on, or all windows.

A clip never leaves the stretch of its item. A stretch that is shorter than a clip is
padded by repeating its last frame, as windows of features are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from lightly_marlin.data.clip_starts import check_clip, choose_start
from lightly_marlin.evaluation.items.item_places import (
    ItemPlace,
    ItemPlaces,
    find_places,
)
from lightly_marlin.evaluation.labels.label_table import LabelTable
from lightly_marlin.features.windows import window_places
from lightly_marlin.store.face_store import FaceStore

__all__ = ["ItemClip", "ItemClips", "ItemWindows"]


class ItemClip(TypedDict):
    """Clip of a labelled item.

    Attributes:
        video: uint8 tensor (3, T, 224, 224), RGB in [0, 255].
        regions: int32 bit masks (T, 28, 28), see `RegionCells`.
        label: float32 tensor (C,), see `Target`.
        item: Index of the item in its table.
        index: Index of the clip in its data set.
    """

    video: Tensor
    regions: Tensor
    label: Tensor
    item: int
    index: int


class _Clip(NamedTuple):
    """A clip: its item, and its frames in the item's stretch."""

    item: int
    start: int


class _Clips(Dataset[ItemClip]):
    """What both kinds of clips share: reading frames of an item."""

    def __init__(
        self,
        table: LabelTable,
        store: FaceStore,
        items: Sequence[int],
        places: ItemPlaces | None,
        num_frames: int,
        stride: int,
    ) -> None:
        check_clip(num_frames, stride, "first")
        self.table = table
        self.store = store
        self.places = find_places(table, store) if places is None else places
        self.items = self.places.found(list(items))
        self.num_frames = num_frames
        self.stride = stride

    def _place(self, item: int) -> ItemPlace:
        place = self.places.places[item]
        assert place is not None
        return place

    def _read(self, clip: _Clip, index: int) -> ItemClip:
        """Reads a clip that starts at a frame of the item's stretch."""
        place = self._place(clip.item)
        frames = np.arange(self.num_frames) * self.stride + place.start + clip.start
        inside = frames[frames < place.stop]
        track = self.store[place.track]
        wanted = inside.tolist()
        video = torch.from_numpy(track.read_video(wanted))
        regions = track.read_cells(wanted).bits
        if len(inside) < self.num_frames:
            # Frames behind the end repeat the last one that is read.
            rows = np.minimum(np.arange(self.num_frames), len(inside) - 1)
            video, regions = video[:, rows], regions[rows]
        return ItemClip(
            video=video,
            regions=regions,
            label=self.table.labels[clip.item],
            item=clip.item,
            index=index,
        )


class ItemClips(_Clips):
    """One clip per item, at a random place in its stretch, as a map-style data set.

    An index is an integer, or a pair `(index, draw)` as `ItemSampler` yields them: the
    place is a pure function of seed, item and draw, whichever worker reads the clip.

    Attributes:
        items: Items with a place in the store, in the order of the indices.
    """

    def __init__(
        self,
        table: LabelTable,
        store: FaceStore,
        items: Sequence[int],
        *,
        places: ItemPlaces | None = None,
        num_frames: int = 16,
        stride: int = 2,
        seed: int = 0,
    ) -> None:
        """Selects the items.

        Args:
            table: Items and their labels.
            store: Store of their videos.
            items: Indices of the items to use; those without a place are left out.
            places: Result of `find_places`; found if left out.
            num_frames: Frames of a clip.
            stride: Frames of the video from one frame of a clip to the next.
            seed: Seed of the places.

        Raises:
            UsageError: If several videos of the store fit the video of an item.
            ValueError: If `num_frames` or `stride` is below 1.
        """
        super().__init__(table, store, items, places, num_frames, stride)
        self.seed = seed

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int | tuple[int, int]) -> ItemClip:
        index, draw = index if isinstance(index, tuple) else (index, 0)
        item = self.items[index]
        place = self._place(item)
        span = (self.num_frames - 1) * self.stride + 1
        start = choose_start(
            max(1, place.stop - place.start - span + 1),
            "random",
            seed=self.seed,
            track=str(item),
            draw=draw,
        )
        return self._read(_Clip(item, start), index)

    def labels(self) -> Tensor:
        """Returns the labels of all clips, float32 (len, C)."""
        return self.table.labels[self.items]


class ItemWindows(_Clips):
    """The windows of every item, one after the other, as a map-style data set.

    Attributes:
        items: Items with a place in the store.
    """

    def __init__(
        self,
        table: LabelTable,
        store: FaceStore,
        items: Sequence[int],
        *,
        places: ItemPlaces | None = None,
        num_frames: int = 16,
        stride: int = 2,
        max_windows: int | None = None,
    ) -> None:
        """Selects the windows.

        Args:
            table: Items and their labels.
            store: Store of their videos.
            items: Indices of the items to use; those without a place are left out.
            places: Result of `find_places`; found if left out.
            num_frames: Frames of a window.
            stride: Frames of the video from one frame of a window to the next.
            max_windows: Windows of an item at the most, evenly spaced; None for all.

        Raises:
            UsageError: If several videos of the store fit the video of an item.
            ValueError: If `num_frames`, `stride` or `max_windows` is below 1.
        """
        super().__init__(table, store, items, places, num_frames, stride)
        if max_windows is not None and max_windows < 1:
            raise ValueError(f"Invalid max_windows {max_windows}: must be 1 or more.")
        self._clips = list(self._windows(max_windows))

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, index: int) -> ItemClip:
        return self._read(self._clips[index], index)

    def item_of_window(self) -> list[int]:
        """Returns the item of every window."""
        return [clip.item for clip in self._clips]

    def _windows(self, max_windows: int | None) -> Iterator[_Clip]:
        for item in self.items:
            place = self._place(item)
            windows = window_places(
                place.stop - place.start,
                self.num_frames,
                sample_rate=self.stride,
                stride=self.num_frames,
            )
            starts = [window.start_frame for window in windows]
            count = len(starts) if max_windows is None else max_windows
            if count < len(starts):
                # The middle of each of `count` equal parts.
                spots = (np.arange(count) + 0.5) * len(starts) / count
                starts = [starts[int(spot)] for spot in spots]
            for start in starts:
                yield _Clip(item, start)
