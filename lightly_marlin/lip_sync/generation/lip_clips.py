"""Clips of face crops with their sound, to train a generator of lips on.

Everything is at 25 frames per second, whatever the rate of a video: a frame stands at
the time at which it is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from lightly_marlin.data.frame_size import fit_frames
from lightly_marlin.lip_sync.networks.generator_tensors import MEL_STEPS
from lightly_marlin.lip_sync.pairs.track_windows import (
    track_frames,
    track_length,
    track_mouths,
    track_sounds,
)
from lightly_marlin.store import FaceStore, Track

__all__ = ["ClipSizes", "FixedLipClips", "LipClip", "LipClips", "read_lip_clip"]


class ClipSizes(NamedTuple):
    """What a generator and an expert take.

    Attributes:
        num_frames: Frames T of a clip, the generator's.
        size: Height and width S of the crops in pixels.
        expert_frames: Frames of the expert's windows, at most T.
        expert_steps: Steps of sound of the expert's windows.
    """

    num_frames: int = 16
    size: int = 224
    expert_frames: int = 5
    expert_steps: int = 16

    @property
    def num_windows(self) -> int:
        """Windows of the expert in a clip."""
        return self.num_frames - self.expert_frames + 1


class LipClip(NamedTuple):
    """A clip; the loader makes batches of them.

    Attributes:
        target: uint8 tensor (3, T, S, S), RGB: the whole face, mouth and all.
        reference: uint8 tensor (3, 1, S, S): a frame of another moment of the track.
        mel: float32 tensor (T, 1, 80, 16) in [-4, 4]: sound beside each frame.
        sounds: float32 tensor (n, 1, 80, steps): sound beside the n windows that the
            expert sees in the clip.
        mouths: bool tensor (T, 28, 28): cells of the target with lips or inner mouth.
    """

    target: Tensor
    reference: Tensor
    mel: Tensor
    sounds: Tensor
    mouths: Tensor


def read_lip_clip(track: Track, start: int, other: int, sizes: ClipSizes) -> LipClip:
    """Reads a clip of a track.

    Args:
        track: A track with sound.
        start: First frame at 25 per second.
        other: The frame of the reference.
        sizes: What to read.

    Returns:
        The clip.

    Raises:
        UsageError: If a file of the track is missing or damaged.
    """
    count = sizes.num_frames
    return LipClip(
        fit_frames(track_frames(track, start, count), sizes.size),
        fit_frames(track_frames(track, other, 1), sizes.size),
        track_sounds(track, start, count, MEL_STEPS),
        track_sounds(track, start, sizes.num_windows, sizes.expert_steps),
        track_mouths(track, start, count),
    )


class LipClips(Dataset[LipClip]):
    """Clips that are drawn anew each time, with a reference from outside the clip.

    A place is the index of a track, and the number of the sample in the training, as
    `PairSampler` gives them. The clip depends on seed and place alone, with any number
    of workers.

    Args:
        store: A face store with sound.
        tracks: Names of the tracks, see `sound_tracks`: each has more frames than a
            clip.
        sizes: What to read.
        seed: Seed of the clips.
    """

    def __init__(
        self,
        store: FaceStore,
        tracks: Sequence[str],
        sizes: ClipSizes,
        *,
        seed: int = 0,
    ) -> None:
        self.tracks = [store[index] for index in store.indices_of(tracks)]
        self.sizes = sizes
        self.seed = seed

    def __len__(self) -> int:
        return len(self.tracks)

    def __getitem__(self, place: tuple[int, int]) -> LipClip:
        index, sample = place
        track = self.tracks[index]
        random = np.random.default_rng([self.seed, sample])
        length, count = track_length(track), self.sizes.num_frames
        start = int(random.integers(length - count + 1))
        # Frames outside the clip: the mouth to be drawn must not be seen in it.
        other = int(random.integers(length - count))
        other += count if other >= start else 0
        return read_lip_clip(track, start, other, self.sizes)


class FixedLipClips(Dataset[LipClip]):
    """Clips that are always the same, to validate on: evenly spaced in each track.

    The reference is the first frame of the track, or the last one for a clip that
    contains the first.

    Args:
        store: A face store with sound.
        tracks: Names of the tracks, as for `LipClips`.
        sizes: What to read.
        clips_per_track: Largest number of clips of a track; a short one has fewer, as
            they do not overlap.

    Attributes:
        places: Index of the track and first frame of each clip.
    """

    def __init__(
        self,
        store: FaceStore,
        tracks: Sequence[str],
        sizes: ClipSizes,
        *,
        clips_per_track: int = 2,
    ) -> None:
        self.tracks = [store[index] for index in store.indices_of(tracks)]
        self.sizes = sizes
        self.places = [
            (index, int(start))
            for index, track in enumerate(self.tracks)
            for start in _even_starts(
                track_length(track), sizes.num_frames, clips_per_track
            )
        ]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, number: int) -> LipClip:
        index, start = self.places[number]
        track = self.tracks[index]
        other = track_length(track) - 1 if start == 0 else 0
        return read_lip_clip(track, start, other, self.sizes)

    def mel(self, number: int) -> Tensor:
        """Returns the sound of a clip, as `LipClip.mel`.

        Args:
            number: Number of the clip.
        """
        index, start = self.places[number]
        return track_sounds(self.tracks[index], start, self.sizes.num_frames, MEL_STEPS)

    def other_frames(self, number: int, most: int = 32) -> Tensor:
        """Returns frames of the clip's track from outside the clip, evenly spaced.

        Args:
            number: Number of the clip.
            most: Largest number n of frames.

        Returns:
            uint8 tensor (3, n, S, S).
        """
        index, start = self.places[number]
        track = self.tracks[index]
        outside = [
            frame
            for frame in range(track_length(track))
            if not start <= frame < start + self.sizes.num_frames
        ]
        chosen = np.linspace(0, len(outside) - 1, min(most, len(outside)))
        frames = [track_frames(track, outside[round(i)], 1) for i in chosen]
        return fit_frames(torch.cat(frames, dim=1), self.sizes.size)


def _even_starts(length: int, count: int, most: int) -> Sequence[int]:
    number = max(1, min(most, length // count))
    starts: list[int] = np.linspace(0, length - count, number).round().astype(int)
    return starts
