"""Similarity of a track and its sound by the shift between them."""

from __future__ import annotations

from lightly_marlin.audio import mel_spectrogram
from lightly_marlin.lip_sync.frame_rate import FPS
from lightly_marlin.lip_sync.measures.offset_curve import SyncCurve, sync_curve
from lightly_marlin.lip_sync.networks.sync_expert import SyncExpert
from lightly_marlin.lip_sync.pairs.track_windows import (
    SAMPLES_PER_FRAME,
    track_frames,
    track_length,
)
from lightly_marlin.store import Track

__all__ = ["track_curve"]

_MAX_FRAMES = 250
"""Frames that are looked at, from the middle of the track: ten seconds."""


def track_curve(
    expert: SyncExpert, track: Track, max_shift: int = 15
) -> SyncCurve | None:
    """Compares the frames of a track with its sound, earlier and later.

    Of a track longer than ten seconds, the middle ten are compared.

    Args:
        expert: The expert; its mode is restored.
        track: A track with sound.
        max_shift: Largest shift in frames at 25 per second, in both directions.

    Returns:
        The curve; None if the track is shorter than a window of the expert and
        `max_shift`.

    Raises:
        UsageError: If a file of the track is missing or damaged.
    """
    length = track_length(track)
    count = min(length, _MAX_FRAMES)
    if count < expert.num_frames + max_shift:
        return None
    first = (length - count) // 2
    frames = track_frames(track, first, count)
    samples = track.read_audio(first * SAMPLES_PER_FRAME, count * SAMPLES_PER_FRAME)
    device = next(expert.parameters()).device
    return sync_curve(
        expert, frames.to(device), mel_spectrogram(samples), FPS, max_shift
    )
