"""Offset of a talking face and its speech, as SyncNet or an expert of ours reads it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from lightly_marlin.audio import mel_spectrogram
from lightly_marlin.lip_sync.frame_rate import FPS
from lightly_marlin.lip_sync.measures.face_sound import TalkingFace
from lightly_marlin.lip_sync.measures.offset_curve import sync_curve
from lightly_marlin.lip_sync.measures.sync_scores import MAX_SHIFT, sync_score
from lightly_marlin.lip_sync.measures.syncnet import SyncNet
from lightly_marlin.lip_sync.measures.video_sync import video_sync_distances
from lightly_marlin.lip_sync.networks.sync_expert import SyncExpert

__all__ = ["SyncReading", "measure_video", "too_short"]


class SyncReading(NamedTuple):
    """Offset of picture and sound, and how sure it is.

    Attributes:
        offset: Frames at 25 per second by which the sound is early; negative if it is
            late.
        confidence: Median of the distances minus the least one; LSE-C by SyncNet.
        distance: Least distance of any shift; LSE-D by SyncNet, 1 minus the mean cosine
            by an expert.
        distances: float64 array (31,): distances of the sound from 15 frames before to
            15 frames after the picture.
    """

    offset: int
    confidence: float
    distance: float
    distances: npt.NDArray[np.float64]


def measure_video(
    network: SyncNet | SyncExpert, face: TalkingFace, *, batch_size: int = 16
) -> SyncReading | None:
    """Measures how far picture and sound are apart.

    Args:
        network: SyncNet, whose readings are comparable with published ones, or a
            trained expert; on any device.
        face: The face with its sound.
        batch_size: Windows that are computed at once.

    Returns:
        The reading; None if the video is too short: SyncNet needs 6 frames at 25 per
        second, an expert its window and 15 frames.
    """
    if isinstance(network, SyncNet):
        return _by_syncnet(network, face, batch_size)
    return _by_expert(network, face, batch_size)


def too_short(face: TalkingFace) -> str:
    """Returns the reason why `measure_video` has no reading of a face."""
    count = len(face.frames)
    return f"its face is seen for {count} frames at {FPS} per second: too short"


def _by_syncnet(
    syncnet: SyncNet, face: TalkingFace, batch_size: int
) -> SyncReading | None:
    distances = video_sync_distances(
        syncnet, face.frames, face.samples, FPS, batch_size=batch_size
    )
    if distances is None:
        return None
    score = sync_score(distances)
    values = distances.double().cpu().numpy()
    return SyncReading(score.offset, score.lse_c, score.lse_d, values)


def _by_expert(
    expert: SyncExpert, face: TalkingFace, batch_size: int
) -> SyncReading | None:
    if len(face.frames) < expert.num_frames + MAX_SHIFT:
        return None
    frames = torch.from_numpy(face.frames).permute(3, 0, 1, 2)
    curve = sync_curve(
        expert,
        frames.to(next(expert.parameters()).device),
        mel_spectrogram(face.samples),
        FPS,
        MAX_SHIFT,
        batch_size=batch_size,
    )
    distances = 1 - curve.similarity.double().numpy()
    least = float(distances[MAX_SHIFT - curve.offset])
    return SyncReading(curve.offset, curve.confidence, least, distances)
