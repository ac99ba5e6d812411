"""Placement of clips in a track: their stride and first frame."""

from __future__ import annotations

import hashlib
from typing import Literal

import torch

__all__ = ["Start", "check_clip", "choose_start", "choose_two_starts", "fit_stride"]

Start = Literal["random", "center", "first"]
_STARTS = ("random", "center", "first")


def check_clip(num_frames: int, stride: int, start: str) -> None:
    """Raises ValueError unless the arguments describe a clip."""
    if num_frames < 1:
        raise ValueError(f"Invalid num_frames {num_frames}: must be at least 1.")
    if stride < 1:
        raise ValueError(f"Invalid stride {stride}: must be at least 1.")
    if start not in _STARTS:
        raise ValueError(
            f"Invalid start {start!r}. Supported values are {', '.join(_STARTS)}."
        )


def fit_stride(track_frames: int, num_frames: int, stride: int) -> int:
    """Returns the largest stride up to `stride` at which a clip fits into a track.

    Args:
        track_frames: Length of the track in frames, at least `num_frames`.
        num_frames: Frames of the clip.
        stride: Requested stride.
    """
    if num_frames == 1:
        return stride
    return min(stride, (track_frames - 1) // (num_frames - 1))


def choose_start(
    num_starts: int, start: Start, *, seed: int, track: str, draw: int | None
) -> int:
    """Returns the index of a clip's first frame.

    Args:
        num_starts: Number of possible first frames, at least 1.
        start: "random", "center" or "first".
        seed: Seed of the data set.
        track: Name of the track.
        draw:
            Number of earlier draws of the track. The random start is then a pure
            function of `(seed, track, draw)`; with None it comes from torch's global
            generator.

    Returns:
        An integer in [0, num_starts).
    """
    if start == "first":
        return 0
    if start == "center":
        return (num_starts - 1) // 2
    return _integer(num_starts, None if draw is None else f"{seed}/{track}/{draw}")


def choose_two_starts(
    num_starts: int, span: int, *, seed: int, track: str, draw: int | None
) -> tuple[int, int]:
    """Returns the first frames of two clips of a track, either of which may be first.

    The clips do not overlap where the track has room for both; in a shorter one, they
    lie at its two ends.

    Args:
        num_starts: Number of possible first frames, at least 1.
        span: Frames of the track from the first to the last frame of a clip, both
            included.
        seed: Seed of the data set.
        track: Name of the track.
        draw: Number of earlier draws of the track, or None, as for `choose_start`.

    Returns:
        Two integers in [0, num_starts), at least `span` apart if `num_starts` exceeds
        `span`.
    """
    apart = min(span, num_starts - 1)

    def integer(count: int, purpose: str) -> int:
        key = None if draw is None else f"{seed}/{track}/{draw}/{purpose}"
        return _integer(count, key)

    # Two of the starts that remain without the gap, and the gap between them.
    one, other = (integer(num_starts - apart, purpose) for purpose in "ab")
    first, last = min(one, other), max(one, other) + apart
    return (last, first) if integer(2, "swap") else (first, last)


def _integer(count: int, key: str | None) -> int:
    """Returns an integer in [0, count), from a key or torch's global generator."""
    if key is None:
        return int(torch.randint(count, ()))
    # A hash, because generators do not guarantee equal numbers across releases.
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % count
