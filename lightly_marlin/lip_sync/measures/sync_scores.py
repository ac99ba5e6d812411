"""Distances between picture and sound by their offset, and the scores from them.

LSE-D and LSE-C, the distance and confidence of lip-sync errors [0], of features that
are close where picture and sound belong together [1].

- [0]: A Lip Sync Expert Is All You Need for Speech to Lip Generation In the Wild, 2020,
  https://arxiv.org/abs/2008.10010
- [1]: https://github.com/joonson/syncnet_python
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["MAX_SHIFT", "SyncScore", "sync_distances", "sync_score"]

MAX_SHIFT = 15
"""Greatest shift of the sound, in frames of a 25th of a second."""


class SyncScore(NamedTuple):
    """Scores of one video.

    Attributes:
        lse_d: Least mean distance of any shift; lower is better.
        lse_c: Confidence: by how much it is below the median distance; higher is
            better.
        offset: Offset in frames: positive if the sound comes before its picture,
            negative if it comes after it.
    """

    lse_d: float
    lse_c: float
    offset: int


def sync_distances(video: Tensor, audio: Tensor, max_shift: int = MAX_SHIFT) -> Tensor:
    """Returns the mean distance of picture and sound by the shift of the sound [1].

    For shifts d from -max_shift to max_shift,

        m(d) = mean over t of |v_t - a_(t + d) + 1e-6|,

    where sound before the first window and after the last is the zero vector. So great
    shifts, in short videos, compare the picture with zeros.

    Args:
        video: Floating-point tensor (n, D), v: features of the picture, one a frame.
        audio: Floating-point tensor (n, D), a: features of the sound at the same times.
        max_shift: Greatest shift in frames.

    Returns:
        Tensor (2 max_shift + 1,); m(d) is at index max_shift + d.

    Raises:
        ValueError: If the shapes differ, or there are no features.
    """
    if video.shape != audio.shape or video.ndim != 2 or not len(video):
        raise ValueError(
            f"Invalid shapes: video {tuple(video.shape)}, audio {tuple(audio.shape)}. "
            "Both have to be (n, D), with n >= 1."
        )
    # One shift after another: all at once would need 31 times the memory.
    padded = F.pad(audio, (0, 0, max_shift, max_shift))
    shifted = (padded[i : i + len(video)] for i in range(2 * max_shift + 1))
    return torch.stack([F.pairwise_distance(video, s).mean() for s in shifted])


def sync_score(distances: Tensor) -> SyncScore:
    """Returns the scores of a video: LSE-D, LSE-C and offset.

    With the minimum of m at the shift d, LSE-D is m(d), LSE-C the median of m minus
    m(d), and the offset -d.

    Args:
        distances: Floating-point tensor (2 max_shift + 1,), see `sync_distances`.
    """
    index = int(distances.argmin())
    least = float(distances[index])
    offset = len(distances) // 2 - index
    return SyncScore(least, float(distances.median()) - least, offset)
