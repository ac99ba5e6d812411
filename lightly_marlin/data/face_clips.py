"""Training clips from a face store."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from lightly_marlin.audio.samples import RATE
from lightly_marlin.data.clip_starts import Start, check_clip, choose_start, fit_stride
from lightly_marlin.data.frame_size import fit_frames
from lightly_marlin.data.track_selection import TrackSelection
from lightly_marlin.regions import CELL_SIZE
from lightly_marlin.store.face_store import FaceStore
from lightly_marlin.store.format import CROP_SIZE
from lightly_marlin.store.repair import no_audio
from lightly_marlin.store.track import Track
from lightly_marlin.utils.errors import UsageError

__all__ = ["FaceClip", "FaceClips", "read_clip"]


class _Sound(TypedDict, total=False):
    audio: Tensor
    seconds: Tensor


class FaceClip(_Sound):
    """One clip.

    Attributes:
        video: uint8 tensor with shape (3, T, S, S), RGB in [0, 255]; S is 224 unless
            another size is asked for.
        regions: int32 bit masks with shape (T, S / 8, S / 8), see `RegionCells`.
        track_id: Name of the source track.
        start: Index of the first frame in the track.
        audio: With `FaceClips(audio=True)` alone: float32 tensor with shape
            (num_samples,), in [-1, 1], mono at 16 kHz, from the first frame on.
        seconds: With `audio`: float32 tensor with shape (T,), the time of each frame
            after the first one. Frame t is shown with sample 16000 * seconds[t].
    """

    video: Tensor
    regions: Tensor
    track_id: str
    start: int


class FaceClips(Dataset[FaceClip]):
    """One clip per track of a face store, as a map-style data set.

    An index is an integer, or a pair `(index, draw)` as `ResumableClipSampler` yields
    them: the random start is then a pure function of the seed, the track's name and
    `draw`, whichever worker loads the clip, and whatever other tracks there are.

    A track that is too short for the stride uses the largest stride that fits, so a
    clip always has `num_frames` distinct frames in order; a track of fewer than
    `num_frames` frames is left out and counted. No file stays open and nothing is
    cached, so memory does not grow, and each worker reads on its own. Pickled for
    workers, it is paths, however many tracks there are.

    With `audio`, clips have the sound from their first frame on, and all of them as
    many samples, so that they collate: those of `num_frames * stride` frames. Where
    tracks differ in frame rate, or are too short for the stride, it is the span of the
    longest clip; in shorter ones, the sound goes on after the last frame. Sound that
    the track does not have is silence. `seconds` tells the samples of the frames.

    Attributes:
        store: The face store.
        num_frames: Frames per clip.
        stride: Step between the frames of a clip, in frames of the track.
        size: Height and width of a clip in pixels.
        num_left_out: Number of tracks that are too short.
        num_samples: Samples of sound per clip; 0 without `audio`.
    """

    def __init__(
        self,
        store: FaceStore | Path | str,
        num_frames: int = 16,
        stride: int = 2,
        *,
        start: Start = "random",
        tracks: Collection[str] | None = None,
        seed: int = 0,
        size: int = CROP_SIZE,
        audio: bool = False,
    ) -> None:
        """Selects the tracks.

        Args:
            store: A face store or its folder.
            num_frames: Frames per clip.
            stride: Step between the frames of a clip, in frames of the track.
            start: Position of a clip in its track: "random", "center" or "first".
            tracks: Names of the tracks to use (see `split_tracks`); None for all.
            seed: Seed of the random starts.
            size: Height and width of a clip in pixels, a multiple of 8. Crops and
                regions of the store are resized to it.
            audio: Give the sound of each clip, too.

        Raises:
            UsageError: If the store cannot be read, no track is long enough, or one has
                no sound to give.
            ValueError: If an argument is invalid or names an unknown track.
        """
        check_clip(num_frames, stride, start)
        if size < 1 or size % CELL_SIZE:
            raise ValueError(
                f"Invalid size {size}: must be a positive multiple of {CELL_SIZE}."
            )
        self.store = store if isinstance(store, FaceStore) else FaceStore(store)
        self.num_frames = num_frames
        self.stride = stride
        self.size = size
        self._start = start
        self._seed = seed
        chosen = self.store.index_array(tracks)
        lengths = self.store.numbers("num_frames")
        fitting = chosen[lengths[chosen] >= num_frames]
        self.num_left_out = len(chosen) - len(fitting)
        if len(fitting) == 0:
            raise UsageError(
                f"The store {self.store.path} has no track of at least {num_frames} "
                f"frames among {len(chosen)}. Prepare more videos or shorten the clips."
            )
        self._selection = TrackSelection(fitting, len(self.store))
        self.num_samples = self._longest_sound() if audio else 0

    def __len__(self) -> int:
        return len(self._selection)

    @property
    def track_ids(self) -> list[str]:
        """Names of the tracks, one per index."""
        return self.store.names(self._selection.indices)

    def __getitem__(self, index: int | tuple[int, int]) -> FaceClip:
        index, draw = self._index_and_draw(index)
        track, span, stride = self._open(index)
        start = choose_start(
            track.num_frames - span + 1,
            self._start,
            seed=self._seed,
            track=track.track_id,
            draw=draw,
        )
        return self._read(track, range(start, start + span, stride))

    def column(self, name: str) -> list[Any]:
        """Returns one column of the store's index, for the tracks of this data set.

        Args:
            name: A field of `TrackRow`, for example "source".

        Returns:
            One value per index.
        """
        return self.store.values(name, self._selection.indices)

    def _index_and_draw(self, index: int | tuple[int, int]) -> tuple[int, int | None]:
        index, draw = index if isinstance(index, tuple) else (index, None)
        length = len(self)
        if not -length <= index < length:
            raise IndexError(f"Invalid index {index}: there are {length} tracks.")
        return index % length, draw

    def _open(self, index: int) -> tuple[Track, int, int]:
        """Returns a track, the frames that a clip of it spans, and the stride."""
        track = self.store[int(self._selection.indices[index])]
        stride = fit_stride(track.num_frames, self.num_frames, self.stride)
        return track, (self.num_frames - 1) * stride + 1, stride

    def _longest_sound(self) -> int:
        """Returns the samples of the longest clip.

        Raises:
            UsageError: If a track has no sound.
        """
        loud = set(self.store.tracks_with_audio())
        silent = [name for name in self.track_ids if name not in loud]
        if silent:
            raise UsageError(
                f"{no_audio(silent[0], self.store.path)}. {len(silent)} of "
                f"{len(self)} tracks are without; tracks=store.tracks_with_audio() "
                "leaves them out."
            )
        rates, lengths = self.column("fps"), self.column("num_frames")
        strides = [fit_stride(n, self.num_frames, self.stride) for n in lengths]
        seconds = self.num_frames * np.array(strides) / np.array(rates, np.float64)
        return round(float(seconds.max()) * RATE)

    def _read(self, track: Track, frames: range) -> FaceClip:
        clip = read_clip(track, frames, self.size)
        if self.num_samples:
            seconds = track.read_seconds(frames)
            samples = track.read_audio(round(seconds[0] * RATE), self.num_samples)
            clip["audio"] = torch.from_numpy(samples)
            clip["seconds"] = torch.from_numpy(
                (seconds - seconds[0]).astype(np.float32)
            )
        return clip


def read_clip(track: Track, frames: range, size: int) -> FaceClip:
    """Reads a clip of a track, without sound.

    Args:
        track: The track.
        frames: Indices of the frames in the track.
        size: Height and width of the clip in pixels, a multiple of 8.
    """
    return FaceClip(
        video=fit_frames(torch.from_numpy(track.read_video(frames)), size),
        regions=track.read_cells(frames).resized(size).bits,
        track_id=track.track_id,
        start=frames.start,
    )
