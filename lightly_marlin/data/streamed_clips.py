"""Clips of a store that was exported to LitData, streamed from a folder or a bucket.

Chunks are fetched ahead and kept in a cache of limited size, so neither the disk nor
the network has to hold or serve single clips. Tracks come in an order that LitData
shuffles within and across chunks; it depends on the number of processes and workers.

- [0]: LitData, https://github.com/Lightning-AI/litData
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from lightly_marlin.data.clip_starts import check_clip, choose_start, fit_stride
from lightly_marlin.data.face_clips import FaceClip, read_clip
from lightly_marlin.store.export import ROW_KEY, is_litdata
from lightly_marlin.store.format import CROP_SIZE, TrackRow
from lightly_marlin.store.memory_track import MemoryTrack
from lightly_marlin.utils.dependency import require
from lightly_marlin.utils.errors import UsageError

try:
    from litdata import StreamingDataLoader, StreamingDataset
except ModuleNotFoundError:
    # Without the extra `stream`, of which the constructor tells.
    StreamingDataLoader = StreamingDataset = object

__all__ = ["StreamedClips", "streaming_loader"]


class StreamedClips(StreamingDataset):  # type: ignore[misc]
    """One clip per track of an export, as a LitData data set.

    The clip of a track begins at a place that depends on the seed, the track's name and
    the epoch alone, as in `FaceClips`. Tracks that are too short are an error: leave
    them out of the export.

    Attributes:
        num_frames: Frames per clip.
        stride: Step between the frames of a clip, in frames of the track.
        size: Height and width of a clip in pixels.
    """

    def __init__(
        self,
        path: Path | str,
        num_frames: int = 16,
        stride: int = 2,
        *,
        seed: int = 0,
        size: int = CROP_SIZE,
        cache: Path | str | None = None,
        max_cache_size: str = "50GB",
    ) -> None:
        """Opens an export.

        Args:
            path: Folder or URL of an export, see `export_store`.
            num_frames: Frames per clip.
            stride: Step between the frames of a clip, in frames of the track.
            seed: Seed of the order and of the random starts.
            size: Height and width of a clip in pixels, a multiple of 8.
            cache: Folder for chunks that are fetched; None for LitData's own.
            max_cache_size: Size that they may take, such as "50GB".

        Raises:
            UsageError: If it is no export.
            MissingExtraError: If the extra `stream` is not installed.
        """
        require("litdata", "Streaming clips")
        check_clip(num_frames, stride, "random")
        if not is_litdata(path):
            raise UsageError(
                f"{path} is no LitData export. Make one with: python "
                "recipes/export_store.py STORE OUT --format litdata"
            )
        super().__init__(
            str(path),
            cache_dir=None if cache is None else str(cache),
            shuffle=True,
            drop_last=True,
            seed=seed,
            max_cache_size=max_cache_size,
        )
        self.num_frames = num_frames
        self.stride = stride
        self.size = size
        self._start_seed = seed

    def __getitem__(self, index: Any) -> FaceClip:
        """Returns a clip, like those of `FaceClips`."""
        sample = super().__getitem__(index)
        row = TrackRow(**json.loads(sample.pop(ROW_KEY)))
        track = MemoryTrack(row, files=sample)
        if row.num_frames < self.num_frames:
            raise UsageError(
                f"The track {row.track_id} has {row.num_frames} frames, too few for a "
                f"clip of {self.num_frames}. Export the store with --min-frames "
                f"{self.num_frames}."
            )
        stride = fit_stride(row.num_frames, self.num_frames, self.stride)
        span = (self.num_frames - 1) * stride + 1
        start = choose_start(
            row.num_frames - span + 1,
            "random",
            seed=self._start_seed,
            track=row.track_id,
            # LitData counts epochs from 1.
            draw=self.current_epoch - 1,
        )
        return read_clip(track, range(start, start + span, stride), self.size)


def streaming_loader(
    clips: StreamedClips, batch_size: int, *, num_workers: int = 0, pin: bool = False
) -> DataLoader[FaceClip]:
    """Returns a loader of full batches, one epoch long, whose state can be saved.

    `state_dict` and `load_state_dict` continue an epoch: no track comes twice and none
    is left out, also with another number of workers or processes, where their order is
    another one.

    Args:
        clips: The clips.
        batch_size: Clips per batch.
        num_workers: Loader processes.
        pin: Whether to pin the memory of batches.
    """
    loader: DataLoader[FaceClip] = _Loader(
        clips,
        batch_size=batch_size,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        pin_memory=pin,
        drop_last=True,
    )
    return loader


class _Loader(StreamingDataLoader):  # type: ignore[misc]
    """LitData's loader for trainers that count the batches of an epoch.

    They never ask for one more than there is. LitData's loader takes that for an epoch
    that was left early, and would begin a resumed one again instead of the next.
    """

    def __iter__(self) -> Iterator[Any]:
        for batch in super().__iter__():
            if self._num_samples_yielded_streaming >= len(self) * self.batch_size:
                self.restore = False
            yield batch
