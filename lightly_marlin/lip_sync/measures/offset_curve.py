"""Similarity of frames and sound by the shift between them, and the offset."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import numpy.typing as npt
import torch
from torch import Tensor

from lightly_marlin.data.frame_size import fit_frames
from lightly_marlin.lip_sync.networks.sync_expert import FACE_SIZE, SyncExpert
from lightly_marlin.lip_sync.sound_windows import mel_windows
from lightly_marlin.utils.evaluation_mode import evaluation_mode

__all__ = ["SyncCurve", "sync_curve"]


class SyncCurve(NamedTuple):
    """Mean similarity of a clip's frames and its sound, shift by shift.

    Attributes:
        shifts: int64 tensor (2 max_shift + 1,), ascending: the frames at t are compared
            with the sound at t + shift.
        similarity: Tensor (2 max_shift + 1,) in [0, 1]: the mean over t.
        offset: Frames by which the sound is early; negative if it is late. The sign is
            SyncNet's [0]: minus the best shift.
        confidence: The largest similarity minus the median.

    - [0]: Out of Time: Automated Lip Sync in the Wild, 2016,
      https://www.robots.ox.ac.uk/~vgg/publications/2016/Chung16a/
    """

    shifts: Tensor
    similarity: Tensor
    offset: int
    confidence: float


def sync_curve(
    expert: SyncExpert,
    frames: Tensor,
    mel: Tensor | npt.NDArray[Any],
    fps: float | Fraction,
    max_shift: int = 15,
    *,
    sound_start: float = 0.0,
    batch_size: int = 64,
) -> SyncCurve:
    """Compares the frames of a clip with its sound, earlier and later.

    Of SyncNet's measure [0], it has the form: but its mean takes in only times t whose
    frames and shifted sound both lie within the clip, where SyncNet compares with zero
    vectors beyond the edges. So far shifts do not look worse in short clips, but rest
    on fewer times. Values depend on the expert; they are no LSE.

    - [0]: Out of Time: Automated Lip Sync in the Wild, 2016,
      https://www.robots.ox.ac.uk/~vgg/publications/2016/Chung16a/

    Args:
        expert: The expert, used in evaluation mode; its mode is restored.
        frames: Face crops (3, T, H, W), uint8 in [0, 255] or floating point in [0, 1];
            T at least the expert's `num_frames` + `max_shift`.
        mel: Floating-point mel spectrogram (80, S), 80 steps per second. Silence stands
            in for what is missing of it, which lowers the confidence.
        fps: Frames per second.
        max_shift: Largest shift in frames, in both directions.
        sound_start: Seconds from the first frame to the first sample of the sound.
        batch_size: Windows that are embedded at once.

    Returns:
        The curve, on the CPU. Of equal similarities, the smallest shift is the best.

    Raises:
        ValueError: If the clip is too short, or an argument is invalid.
    """
    window = expert.num_frames
    if max_shift < 0:
        raise ValueError(f"max_shift must be at least 0, got {max_shift}.")
    if frames.ndim != 4 or frames.shape[1] < window + max_shift:
        raise ValueError(
            f"Invalid shape of frames {tuple(frames.shape)}. Supported is "
            f"(3, T, H, W) with T >= {window + max_shift}: the expert's {window} "
            f"frames and max_shift ({max_shift})."
        )
    # Each frame is resized once, though it is in several windows.
    parts = torch.split(frames, batch_size, dim=1)
    resized = [fit_frames(part, FACE_SIZE) for part in parts]
    windows = torch.cat(resized, 1).unfold(1, window, 1).permute(1, 0, 4, 2, 3)
    times = range(len(windows))
    sounds = mel_windows(mel, times, fps, expert.mel_steps, sound_start=sound_start)
    sounds = sounds.to(frames.device)
    with evaluation_mode(expert):
        inputs = (torch.split(part, batch_size) for part in (windows, sounds))
        embeddings = [expert(*batch) for batch in zip(*inputs, strict=True)]
        video, audio = (torch.cat(part) for part in zip(*embeddings, strict=True))
        shifts = range(-max_shift, max_shift + 1)
        means = [_similarity_at(shift, expert, video, audio) for shift in shifts]
    similarity = torch.stack(means).cpu()
    values = dict(zip(shifts, similarity.tolist(), strict=True))
    best = max(shifts, key=lambda shift: (values[shift], -abs(shift)))
    confidence = values[best] - similarity.median().item()
    return SyncCurve(torch.tensor(shifts), similarity, -best, confidence)


def _similarity_at(
    shift: int, expert: SyncExpert, video: Tensor, audio: Tensor
) -> Tensor:
    """Returns the mean similarity of video at t and audio at t + shift."""
    first, last = max(0, -shift), len(video) - max(0, shift)
    pairs = video[first:last], audio[first + shift : last + shift]
    return expert.similarity(*pairs).mean()
