"""Overlapping windows of a sequence of frames, and the average of their results."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

__all__ = ["average_overlaps", "window_starts", "window_weights"]


def window_starts(num_frames: int, window: int, stride: int) -> list[int]:
    """Returns the first frames of windows that cover a sequence.

    Args:
        num_frames: Frames of the sequence, at least 1.
        window: Frames of a window.
        stride: Frames between the starts of two windows, from 1 to `window`.

    Returns:
        Ascending starts; the last window ends with the sequence, unless the sequence is
        shorter than a window.

    Raises:
        ValueError: If `stride` leaves frames out.
    """
    if not 1 <= stride <= window:
        raise ValueError(
            f"Invalid stride {stride}: must be from 1 to the {window} frames of a "
            "window, so that no frame is left out."
        )
    last = max(0, num_frames - window)
    return [*range(0, last, stride), last]


def window_weights(window: int) -> Tensor:
    """Returns the weights of a window's frames: sin^2(pi (t + 1/2) / window).

    Positive, smallest at both ends, where a frame has the fewest neighbours. Windows
    half a length apart have weights that sum to 1.

    Args:
        window: Number of frames.

    Returns:
        float32 tensor (window,) in (0, 1].
    """
    places = torch.arange(window, dtype=torch.float64) + 0.5
    return (math.pi * places / window).sin().square().float()


def average_overlaps(
    windows: Iterable[tuple[int, Tensor]], num_frames: int
) -> Iterator[Tensor]:
    """Averages the results of windows, each frame weighted by `window_weights`.

    The weights of a frame are divided by their sum, so that they sum to 1 everywhere.
    Holds no more frames than a window has.

    Args:
        windows: Starts, as `window_starts` returns them, and results: floating-point
            tensors (T, ...).
        num_frames: Frames of the sequence; what a window has beyond them is dropped.

    Yields:
        The average of each frame, a tensor (...).
    """
    held: list[tuple[Tensor, float]] = []  # Weighted sums and sums of weights.
    first = 0
    for start, result in windows:
        yield from (total / weight for total, weight in held[: start - first])
        del held[: start - first]
        first = start
        weights = window_weights(len(result)).tolist()
        for place, (frame, weight) in enumerate(zip(result, weights, strict=True)):
            if place < len(held):
                total, so_far = held[place]
                held[place] = (total + weight * frame, so_far + weight)
            elif start + place < num_frames:
                held.append((weight * frame, weight))
    yield from (total / weight for total, weight in held)
