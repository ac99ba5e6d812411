"""Pairs of clips of the same track, for contrastive learning."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
from torch import Tensor

from lightly_marlin.data.clip_starts import choose_two_starts, fit_stride
from lightly_marlin.data.face_clips import FaceClip, FaceClips
from lightly_marlin.store.face_store import FaceStore
from lightly_marlin.store.format import CROP_SIZE

__all__ = ["FaceClipPair", "FaceClipPairs"]


class FaceClipPair(FaceClip):
    """A clip and another one of the same track.

    Attributes:
        video_b: The second clip, like `video`.
        regions_b: Its regions, like `regions`.
        start_b: Index of its first frame in the track.
    """

    video_b: Tensor
    regions_b: Tensor
    start_b: int


class FaceClipPairs(FaceClips):
    """Two clips per track of a face store, as a map-style data set.

    The second clip begins at least one clip's span after or before the first, so they
    share no frame, where the track is long enough for two clips. In a shorter track
    they lie at its two ends and overlap; in one that has room for a single start, they
    are equal. `num_overlapping` counts these tracks: a `TrackFilter` with more frames
    leaves them out.

    Indices, short tracks and loading are those of `FaceClips`. Starts are random: a
    pure function of seed, track and draw, or from torch's global generator for a plain
    index. They are drawn together, so `video` is not the clip that `FaceClips` draws.

    Attributes:
        num_overlapping: Number of tracks that are too short for two separate clips.
    """

    def __init__(
        self,
        store: FaceStore | Path | str,
        num_frames: int = 16,
        stride: int = 2,
        *,
        tracks: Collection[str] | None = None,
        seed: int = 0,
        size: int = CROP_SIZE,
    ) -> None:
        """Selects the tracks.

        Args:
            store: A face store or its folder.
            num_frames: Frames per clip.
            stride: Step between the frames of a clip, in frames of the track.
            tracks: Names of the tracks to use (see `split_tracks`); None for all.
            seed: Seed of the random starts.
            size: Height and width of a clip in pixels, a multiple of 8.

        Raises:
            UsageError: If the store cannot be read, or no track is long enough.
            ValueError: If an argument is invalid or names an unknown track.
        """
        super().__init__(store, num_frames, stride, tracks=tracks, seed=seed, size=size)
        lengths = self.column("num_frames")
        strides = [fit_stride(length, num_frames, stride) for length in lengths]
        spans = (num_frames - 1) * np.array(strides) + 1
        self.num_overlapping = int((np.array(lengths) < 2 * spans).sum())

    def __getitem__(self, index: int | tuple[int, int]) -> FaceClipPair:
        index, draw = self._index_and_draw(index)
        track, span, stride = self._open(index)
        starts = choose_two_starts(
            track.num_frames - span + 1,
            span,
            seed=self._seed,
            track=track.track_id,
            draw=draw,
        )
        first, second = (
            self._read(track, range(start, start + span, stride)) for start in starts
        )
        return FaceClipPair(
            **first,
            video_b=second["video"],
            regions_b=second["regions"],
            start_b=second["start"],
        )
