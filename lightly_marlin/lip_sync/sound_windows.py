"""Windows of a mel spectrogram beside the frames of a video, at any frame rate."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["MEL_BANDS", "MEL_RATE", "SILENCE", "mel_steps", "mel_windows"]

MEL_BANDS = 80
"""Bands of `lightly_marlin.audio.mel_spectrogram`."""

MEL_RATE = 80
"""Its steps per second."""

SILENCE = -4.0
"""Its smallest value, which silence has."""

_FPS = 25
"""Frames per second of Wav2Lip's videos, by which windows of sound are sized."""


def mel_steps(num_frames: int) -> int:
    """Returns the steps of sound beside frames at 25 per second, rounded up.

    16 for the 5 frames of Wav2Lip's expert [0]. For MARLIN's 16 frames, 0.64 seconds
    are 51.2 steps; the number in MARLIN is not published, and 52 is our choice.

    - [0]: A Lip Sync Expert Is All You Need for Speech to Lip Generation In the Wild,
      2020, https://arxiv.org/abs/2008.10010

    Args:
        num_frames: Number of frames, at least 1.

    Returns:
        The number of steps.
    """
    return -(-num_frames * MEL_RATE // _FPS)


def mel_windows(
    mel: Tensor | npt.NDArray[Any],
    frames: Iterable[int],
    fps: float | Fraction,
    steps: int = 16,
    *,
    sound_start: float = 0.0,
) -> Tensor:
    """Cuts a window of sound for each frame.

    The window of frame i starts at step floor(80 i / fps). That is where Wav2Lip's
    expert begins to hear a clip whose first frame is i. Its generator hears one window
    per frame, from the same step in inference; in training, Wav2Lip starts one frame
    earlier, which we do not follow. The length is the same at every frame rate. Before
    and after the sound there is silence.

    Args:
        mel: Floating-point tensor or array (80, S), 80 steps per second, as
            `lightly_marlin.audio.mel_spectrogram` returns it; S may be 0.
        frames: Indices of n frames, as `range(16)` for a clip; may exceed the sound.
        fps: Frames per second of the video; a `Fraction` rounds nothing.
        steps: Steps of a window.
        sound_start: Seconds from the first picture to the first sample, as `read_audio`
            returns it; rounded to whole steps.

    Returns:
        Tensor (n, 1, 80, steps) of the dtype of `mel`, on its device.

    Raises:
        ValueError: If shape or dtype of `mel` differ, `fps` is not positive and finite,
            or `steps` is less than 1.
    """
    mel = torch.as_tensor(mel)
    if mel.ndim != 2 or len(mel) != MEL_BANDS or not mel.is_floating_point():
        raise ValueError(
            f"mel must be a floating-point tensor of shape ({MEL_BANDS}, S), got shape "
            f"{tuple(mel.shape)} and {mel.dtype}."
        )
    if not (fps > 0 and math.isfinite(fps)):
        raise ValueError(f"fps must be a positive number, got {fps}.")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}.")
    delay = round(MEL_RATE * sound_start)
    starts = [math.floor(MEL_RATE * frame / fps) - delay for frame in frames]
    first = torch.tensor(starts, dtype=torch.int64, device=mel.device)
    index = first[:, None] + torch.arange(steps, device=mel.device)
    length = mel.shape[1]
    silence = mel.new_full((MEL_BANDS, 1), SILENCE)
    inside = (index >= 0) & (index < length)
    index = torch.where(inside, index, length)
    return torch.cat([mel, silence], dim=1)[:, index].transpose(0, 1)[:, None]
