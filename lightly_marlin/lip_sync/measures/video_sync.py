"""Synchronisation of one video with its sound, as SyncNet measures it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from lightly_marlin.audio.samples import check_samples
from lightly_marlin.lip_sync.frame_rate import FPS, frames_at_25
from lightly_marlin.lip_sync.measures.sync_scores import sync_distances
from lightly_marlin.lip_sync.measures.syncnet import SyncNet, check_frames

__all__ = ["MIN_FRAMES", "video_sync_distances"]

MIN_FRAMES = 6
"""Frames of 25 per second that a video needs for one measurement."""

_SAMPLES_PER_FRAME = 640


def video_sync_distances(
    syncnet: SyncNet,
    frames: npt.NDArray[np.uint8] | Tensor,
    samples: npt.NDArray[Any] | Tensor,
    fps: float,
    *,
    batch_size: int = 16,
) -> Tensor | None:
    """Returns the distance of a video's picture and sound by the shift of the sound.

    Of L frames at 25 per second, the first L - 5 windows are measured, where L is what
    both picture and sound have; see `sync_distances`.

    Args:
        syncnet: The network.
        frames: uint8 array or tensor (T, H, W, 3), RGB: a face with its surroundings,
            as SyncNet was trained on.
        samples: Floating-point array or tensor (n,), 16 kHz, in [-1, 1]. The first
            sounds with the first frame: see the start that `read_audio` returns.
        fps: Frames per second. Of other than 25, frames are repeated or left out as
            FFmpeg would, see `frames_at_25`.
        batch_size: Windows that are computed at once.

    Returns:
        Tensor (31,): distances of shifts from -15 to 15 frames. None if there are fewer
        than 6 frames, or less than 0.24 s of sound.

    Raises:
        ValueError: If an argument has another shape, type or range.
    """
    pixels = check_frames(frames)
    if isinstance(samples, Tensor):
        samples = samples.detach().cpu().numpy()
    sound = check_samples(samples)
    shown = frames_at_25(len(pixels), fps)
    length = min(len(shown), len(sound) // _SAMPLES_PER_FRAME)
    if length < MIN_FRAMES:
        return None
    pixels = pixels[: length - 1] if fps == FPS else pixels[shown[: length - 1]]
    video = syncnet.embed_video(pixels, batch_size=batch_size)
    audio = syncnet.embed_audio(sound[: length * _SAMPLES_PER_FRAME])
    return sync_distances(video, audio)
