"""Pairs of lips and sound from the tracks of a face store, to train an expert on.

Everything is at 25 frames per second, whatever the rate of a video: a frame stands at
the time at which it is shown, so that streams of variable rate fit their sound, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from torch import Generator, Tensor
from torch.utils.data import Dataset, Sampler

from lightly_marlin.data import ResumableClipSampler
from lightly_marlin.data.frame_size import fit_frames
from lightly_marlin.lip_sync.frame_rate import FPS
from lightly_marlin.lip_sync.networks.sync_expert import FACE_SIZE
from lightly_marlin.lip_sync.pairs.sync_pairs import SyncPair, draw_pair, fixed_pairs
from lightly_marlin.lip_sync.pairs.track_windows import (
    SAMPLES_PER_FRAME,
    track_frames,
    track_length,
    track_mel,
)
from lightly_marlin.lip_sync.sound_windows import mel_steps
from lightly_marlin.store import FaceStore

__all__ = [
    "FixedSyncPairs",
    "PairSampler",
    "SyncItem",
    "SyncPairs",
    "sound_tracks",
]

_MIN_SHIFT = 2
"""Frames that a track needs beyond a window, for a pair that is not in sync."""


class SyncItem(NamedTuple):
    """A window of frames and a window of sound; the loader makes batches of them.

    Attributes:
        frames: uint8 tensor (3, T, 96, 96), RGB: the whole face.
        mel: float32 tensor (1, 80, steps), in [-4, 4].
        in_sync: Whether they belong together.
    """

    frames: Tensor
    mel: Tensor
    in_sync: bool


class _Pairs:
    """Reads pairs of some tracks.

    Attributes:
        tracks: The tracks.
        num_frames: Frames T of a window.
    """

    def __init__(
        self, store: FaceStore, tracks: Sequence[str] | None, num_frames: int
    ) -> None:
        self.tracks = [store[index] for index in store.indices_of(tracks)]
        self.num_frames = num_frames

    def read(self, index: int, pair: SyncPair) -> SyncItem:
        """Reads a pair of the track at an index."""
        track = self.tracks[index]
        video = track_frames(track, pair.video_start, self.num_frames)
        mel = track_mel(track, pair.audio_start, mel_steps(self.num_frames))
        return SyncItem(fit_frames(video, FACE_SIZE), mel, pair.in_sync)


class SyncPairs(_Pairs, Dataset[SyncItem]):
    """Pairs that are drawn anew each time, every second one in sync.

    A place is the index of a track, and the number of the sample in the training, as
    `PairSampler` gives them. Even numbers are in sync: half of a batch. The pair
    depends on seed and place alone, with any number of workers.

    Args:
        store: A face store with sound.
        tracks: Names of the tracks, see `sound_tracks`; None for all.
        num_frames: Frames T of a window, the expert's.
        seed: Seed of the pairs.
    """

    def __init__(
        self,
        store: FaceStore,
        tracks: Sequence[str] | None = None,
        num_frames: int = 5,
        *,
        seed: int = 0,
    ) -> None:
        super().__init__(store, tracks, num_frames)
        self.seed = seed

    def __len__(self) -> int:
        return len(self.tracks)

    def __getitem__(self, place: tuple[int, int]) -> SyncItem:
        index, sample = place
        state = np.random.SeedSequence([self.seed, sample]).generate_state(1, np.uint64)
        pair = draw_pair(
            track_length(self.tracks[index]),
            self.num_frames,
            FPS,
            in_sync=sample % 2 == 0,
            generator=Generator().manual_seed(int(state[0]) >> 1),
        )
        return self.read(index, pair)


class FixedSyncPairs(_Pairs, Dataset[SyncItem]):
    """Pairs that are always the same, to validate on; see `fixed_pairs`.

    Args:
        store: A face store with sound.
        tracks: Names of the tracks, see `sound_tracks`; None for all.
        num_frames: Frames T of a window, the expert's.
        pairs_per_track: Pairs of each track, even: half of them are in sync.
        seed: Seed of the pairs.

    Raises:
        ValueError: If a track is too short.
    """

    def __init__(
        self,
        store: FaceStore,
        tracks: Sequence[str] | None = None,
        num_frames: int = 5,
        *,
        pairs_per_track: int = 8,
        seed: int = 0,
    ) -> None:
        super().__init__(store, tracks, num_frames)
        self.pairs = [
            (index, pair)
            for index, track in enumerate(self.tracks)
            for pair in fixed_pairs(
                track_length(track),
                num_frames,
                FPS,
                num_pairs=pairs_per_track,
                seed=[seed, index],
            )
        ]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, number: int) -> SyncItem:
        return self.read(*self.pairs[number])


class PairSampler(Sampler[tuple[int, int]]):
    """Endless places of `SyncPairs`: every track once per epoch, in random order.

    A training that resumes at sample k sees the same pairs as without interruption.

    Args:
        num_tracks: Number of tracks.
        seed: Seed of the order.
        start_sample: Number of samples that are done.
    """

    def __init__(
        self, num_tracks: int, *, seed: int = 0, start_sample: int = 0
    ) -> None:
        self.start_sample = start_sample
        self.order = ResumableClipSampler(
            num_tracks, seed=seed, start_sample=start_sample
        )

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for sample, (index, _) in enumerate(self.order, start=self.start_sample):
            yield index, sample


def sound_tracks(store: FaceStore, num_frames: int) -> tuple[list[str], dict[str, str]]:
    """Selects the tracks that pairs can be drawn from.

    Args:
        store: A face store.
        num_frames: Frames T of a window, the expert's.

    Returns:
        - Names of the tracks, in the order of the store.
        - Reasons by the names of all others.
    """
    usable, reasons = [], {}
    needed = num_frames + _MIN_SHIFT
    for name, samples in zip(
        store.column("track_id"), store.column("num_samples"), strict=True
    ):
        frames = samples // SAMPLES_PER_FRAME
        if not samples:
            reasons[name] = "it has no sound"
        elif frames < needed:
            reasons[name] = (
                f"it has {frames} frames at {FPS} per second; {needed} are needed"
            )
        else:
            usable.append(name)
    return usable, reasons
