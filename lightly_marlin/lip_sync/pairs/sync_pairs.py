"""Pairs of frames and sound of one clip, in sync or shifted, to train the expert on."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Generator, Tensor

from lightly_marlin.lip_sync.sound_windows import mel_steps, mel_windows

__all__ = ["SyncPair", "draw_pair", "fixed_pairs", "pair_inputs"]

_MAX_SECONDS = 2
_MIN_FRAMES = 2
"""Shift of a pair that is not in sync; people hardly notice a single frame."""


class SyncPair(NamedTuple):
    """A window of frames and a window of sound of the same clip.

    Attributes:
        video_start: Index of the first frame.
        audio_start: Index of the frame beside which the sound starts.
    """

    video_start: int
    audio_start: int

    @property
    def in_sync(self) -> bool:
        """Whether frames and sound belong together."""
        return self.video_start == self.audio_start


def draw_pair(
    num_frames: int,
    window: int,
    fps: float | Fraction,
    *,
    in_sync: bool,
    generator: Generator,
) -> SyncPair:
    """Draws a pair.

    The sound of a shifted pair starts 2 frames to 2 seconds earlier or later, and lies
    within the clip as well. Of the same speaker and sentence, it differs in nothing but
    time. Frames are drawn in the same way for both kinds of pairs, so that their place
    in the clip tells nothing. Draw both kinds equally often.

    Args:
        num_frames: Frames of the clip that have sound, at least `window` + 2.
        window: Frames of a window, the expert's `num_frames`.
        fps: Frames per second, at least 1.
        in_sync: Whether the two should belong together.
        generator: Source of randomness, on the CPU.

    Returns:
        The pair.

    Raises:
        ValueError: If the clip is too short, or a number is out of range.
    """
    num_starts = num_frames - window + 1
    if window < 1 or num_starts <= _MIN_FRAMES:
        raise ValueError(
            f"A clip of {num_frames} frames is too short for pairs of windows of "
            f"{window} frames: it needs {max(window, 1) + _MIN_FRAMES}, so that a "
            "shifted one fits. Leave it out."
        )
    if not fps >= 1:
        raise ValueError(f"fps must be at least 1, got {fps}.")
    # Of three starts, the middle one has no other at a distance of two.
    starts = range(num_starts) if num_starts > 3 else (0, 2)
    video = starts[_integer(len(starts), generator)]
    farthest = int(_MAX_SECONDS * fps)
    earlier = range(max(0, video - farthest), video - _MIN_FRAMES + 1)
    later = range(video + _MIN_FRAMES, min(num_starts, video + farthest + 1))
    shifted = [*earlier, *later]
    audio = shifted[_integer(len(shifted), generator)]
    return SyncPair(video, video if in_sync else audio)


def fixed_pairs(
    num_frames: int,
    window: int,
    fps: float | Fraction,
    *,
    num_pairs: int,
    seed: int | Sequence[int],
) -> list[SyncPair]:
    """Draws the pairs of a clip on which the expert is validated.

    Always the same for the same arguments. Every second pair is in sync and has the
    frames of the next one, which is shifted.

    Args:
        num_frames: Frames of the clip that have sound, at least `window` + 2.
        window: Frames of a window, the expert's `num_frames`.
        fps: Frames per second, at least 1.
        num_pairs: Number of pairs, even.
        seed: Integers of at least 0: a seed, or a seed and the number of the clip,
            which makes clips independent of each other.

    Returns:
        The pairs.

    Raises:
        ValueError: If the clip is too short, or a number is out of range.
    """
    if num_pairs < 0 or num_pairs % 2:
        raise ValueError(f"num_pairs must be even and at least 0, got {num_pairs}.")
    generator = Generator()
    state = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]
    generator.manual_seed(int(state) >> 1)
    pairs = []
    for _ in range(num_pairs // 2):
        shifted = draw_pair(num_frames, window, fps, in_sync=False, generator=generator)
        pairs += [SyncPair(shifted.video_start, shifted.video_start), shifted]
    return pairs


def pair_inputs(
    frames: Tensor,
    mel: Tensor | npt.NDArray[Any],
    pair: SyncPair,
    window: int,
    fps: float | Fraction,
    *,
    sound_start: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Cuts what the expert sees and hears of a pair.

    Args:
        frames: Face crops (3, T, H, W) of the clip.
        mel: Floating-point mel spectrogram (80, S) of the clip, 80 steps per second.
        pair: The pair; its windows of frames lie within the clip.
        window: Frames of a window, the expert's `num_frames`.
        fps: Frames per second.
        sound_start: Seconds from the first frame to the first sample of the sound.

    Returns:
        Frames (3, window, H, W), a view, and mel (1, 80, steps).

    Raises:
        ValueError: If the window exceeds the frames, or `mel` or `fps` is invalid.
    """
    start, stop = pair.video_start, pair.video_start + window
    if frames.ndim != 4 or not 0 <= start < stop <= frames.shape[1]:
        raise ValueError(
            f"Frames {start} to {stop - 1} do not lie in frames of shape "
            f"{tuple(frames.shape)}. Supported is (3, T, H, W) with T >= {stop}."
        )
    steps = mel_steps(window)
    sound = mel_windows(mel, [pair.audio_start], fps, steps, sound_start=sound_start)
    return frames[:, start:stop], sound[0]


def _integer(count: int, generator: Generator) -> int:
    return int(torch.randint(count, (), generator=generator))
