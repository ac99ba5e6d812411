"""Frames and sound of a track at 25 frames per second, whatever the rate of its video.

A frame stands at the time at which it is shown, so that streams of variable rate fit
their sound, too.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lightly_marlin.audio import mel_spectrogram
from lightly_marlin.audio.samples import RATE
from lightly_marlin.lip_sync.frame_rate import FPS, frames_shown
from lightly_marlin.lip_sync.sound_windows import MEL_RATE
from lightly_marlin.regions import Label
from lightly_marlin.store import Track

__all__ = [
    "SAMPLES_PER_FRAME",
    "track_frames",
    "track_length",
    "track_mel",
    "track_mouths",
    "track_sounds",
]

SAMPLES_PER_FRAME = RATE // FPS
"""Samples of sound beside a frame at 25 per second."""

_MOUTH = sum(
    1 << label for label in (Label.UPPER_LIP, Label.INNER_MOUTH, Label.LOWER_LIP)
)

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
    shown = _shown(track, start, count)
    # A frame that stands for several is decoded once.
    needed, places = np.unique(shown, return_inverse=True)
    video = torch.from_numpy(track.read_video(needed.tolist()))
    return video if len(needed) == count else video[:, places]


def track_mouths(track: Track, start: int, count: int) -> Tensor:
    """Reads where the mouth is in the frames that `track_frames` reads.

    Args:
        track: A track with sound.
        start: First frame at 25 per second.
        count: Number of frames at 25 per second, at least 1.

    Returns:
        bool tensor (count, 28, 28): cells of the crop with lips or inner mouth.

    Raises:
        UsageError: If a file of the track is missing or damaged.
    """
    needed, places = np.unique(_shown(track, start, count), return_inverse=True)
    cells = track.read_cells(needed.tolist())[places]
    return (cells & _MOUTH) != 0


def track_sounds(track: Track, start: int, count: int, steps: int) -> Tensor:
    """Computes the windows of sound that begin beside consecutive frames.

    Args:
        track: A track with sound.
        start: First frame at 25 per second.
        count: Number of frames n.
        steps: Steps of a window.

    Returns:
        float32 tensor (n, 1, 80, steps), in [-4, 4]: of each frame, what `track_mel`
        computes.
    """
    first = start * MEL_RATE // FPS
    begins = [(start + k) * MEL_RATE // FPS - first for k in range(count)]
    mel = track_mel(track, start, begins[-1] + steps)
    return mel.unfold(-1, steps, 1)[:, :, begins].permute(2, 0, 1, 3).contiguous()


def _shown(track: Track, start: int, count: int) -> npt.NDArray[np.int64]:
    """Returns the frames of the track that are shown at 25 per second."""
    seconds = track.read_seconds(range(track.num_frames))
    return frames_shown(seconds, start + count)[start:]


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
