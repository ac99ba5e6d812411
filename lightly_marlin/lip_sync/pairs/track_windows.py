"""Frames and sound of a track at 25 frames per second, whatever the rate of its video.

A frame stands at the time at which it is shown, so that streams of variable rate fit
their sound, too.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lightly_marlin.audio import mel_spectrogram
from lightly_marlin.audio.samples import RATE
from lightly_marlin.lip_sync.frame_rate import FPS, frames_shown
from lightly_marlin.lip_sync.sound_windows import MEL_RATE
from lightly_marlin.store import Track

__all__ = ["SAMPLES_PER_FRAME", "track_frames", "track_length", "track_mel"]

SAMPLES_PER_FRAME = RATE // FPS
"""Samples of sound beside a frame at 25 per second."""

_HOP = RATE // MEL_RATE

_MARGIN = 4
"""Steps of sound before a window, and after it: its spectra reach over two of them."""


def track_length(track: Track) -> int:
    """Returns the number of frames of a track with sound, at 25 per second."""
    return track.num_samples // SAMPLES_PER_FRAME


def track_frames(track: Track, start: int, count: int) -> Tensor:
    """Reads some of the frames that are shown at each 25th of a second.

    Args:
        track: A track with sound.
        start: First frame at 25 per second.
        count: Number of frames at 25 per second, at least 1; the last one of the track
            stays.

    Returns:
        uint8 tensor (3, count, 224, 224), RGB.

    Raises:
        UsageError: If a file of the track is missing or damaged.
    """
    seconds = track.read_seconds(range(track.num_frames))
    shown = frames_shown(seconds, start + count)[start:]
    # A frame that stands for several is decoded once.
    needed, places = np.unique(shown, return_inverse=True)
    video = torch.from_numpy(track.read_video(needed.tolist()))
    return video if len(needed) == count else video[:, places]


def track_mel(track: Track, frame: int, steps: int) -> Tensor:
    """Computes a window of the mel spectrogram of a track, from its sound there alone.

    It is that of `mel_spectrogram` of the whole sound, but for two steps at either end
    of the track, where silence takes the place of reflected sound.

    Args:
        track: A track with sound.
        frame: Frame at 25 per second beside which the window starts.
        steps: Steps of the window.

    Returns:
        float32 tensor (1, 80, steps), in [-4, 4].
    """
    first = frame * MEL_RATE // FPS - _MARGIN
    sound = track.read_audio(first * _HOP, (steps + 2 * _MARGIN) * _HOP)
    mel = mel_spectrogram(sound)[:, _MARGIN : _MARGIN + steps]
    return torch.from_numpy(np.ascontiguousarray(mel))[None]
