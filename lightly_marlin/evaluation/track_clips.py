"""The same few clips of each of some face tracks, at every pass."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from lightly_marlin.data.clip_starts import check_clip, fit_stride
from lightly_marlin.store.face_store import FaceStore
from lightly_marlin.utils.errors import UsageError

__all__ = ["TrackClips"]


class TrackClips(Dataset[Tensor]):
    """Clips that are spread evenly over each track, from its first frame to its last.

    They are a function of the store and the arguments; nothing is drawn. The clips of a
    track overlap if it is shorter than all of them. They always begin at different
    frames: a track that is too short for that uses the largest stride at which they do,
    and is left out if there is none.

    Attributes:
        store: The face store.
        num_clips: Clips of a track.
        track_ids: Names of the tracks, one per index.
    """

    def __init__(
        self,
        store: FaceStore | Path | str,
        *,
        tracks: Collection[str] | None = None,
        max_tracks: int | None = None,
        num_clips: int = 2,
        num_frames: int = 16,
        stride: int = 2,
    ) -> None:
        """Selects the tracks.

        Args:
            store: A face store or its folder.
            tracks: Names of the tracks to use (see `split_tracks`); None for all.
            max_tracks: Number of tracks to use at most, spread evenly over those that
                are long enough, in the order of the store; None for all.
            num_clips: Clips of a track, at least 2.
            num_frames: Frames of a clip.
            stride: Step between the frames of a clip, in frames of the track.

        Raises:
            UsageError: If the store cannot be read, or less than two tracks are long
                enough.
            ValueError: If an argument is invalid.
        """
        check_clip(num_frames, stride, "first")
        if num_clips < 2 or (max_tracks is not None and max_tracks < 2):
            raise ValueError(
                f"Invalid num_clips ({num_clips}) or max_tracks ({max_tracks}): both "
                "must be at least 2."
            )
        self.store = store if isinstance(store, FaceStore) else FaceStore(store)
        self.num_clips = num_clips
        self._num_frames = num_frames
        self._stride = stride
        lengths = self.store.numbers("num_frames")
        chosen = self.store.index_array(tracks)
        shortest = num_frames + num_clips - 1
        fitting = chosen[lengths[chosen] >= shortest]
        if len(fitting) < 2:
            raise UsageError(
                f"The store {self.store.path} has {len(fitting)} tracks of at least "
                f"{shortest} frames among {len(chosen)}, but 2 are needed to compare "
                "them. Prepare more or longer videos."
            )
        count = min(len(fitting), max_tracks or len(fitting))
        self._indices = fitting[np.arange(count) * len(fitting) // count]
        self.track_ids = self.store.names(self._indices)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> Tensor:
        """Returns the clips of a track.

        Args:
            index: Index of the track.

        Returns:
            uint8 tensor (num_clips, 3, T, 224, 224), RGB in [0, 255].
        """
        track = self.store[int(self._indices[index])]
        # All clips but the first begin later by a frame at least.
        room = track.num_frames - (self.num_clips - 1)
        stride = fit_stride(room, self._num_frames, self._stride)
        span = (self._num_frames - 1) * stride + 1
        last = track.num_frames - span
        starts = [last * n // (self.num_clips - 1) for n in range(self.num_clips)]
        clips = [track.read_video(range(s, s + span, stride)) for s in starts]
        return torch.from_numpy(np.stack(clips))
