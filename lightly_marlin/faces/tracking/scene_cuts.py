"""Detection of hard cuts, so that no face is tracked across scenes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lightly_marlin.faces.tracking.thumbnail import thumbnail

__all__ = ["SceneCuts"]

# In 32 clips of talking and moving people the largest difference without a cut was 21
# and the lowest correlation of a pair that differs by more than 8 was 0.67 (a head that
# moves fast); the weakest real cut had 26 and 0.26. A fade differs by up to 10 a frame.
_MIN_DIFFERENCE = 12.0
_MAX_CORRELATION = 0.5


class SceneCuts:
    """Compares each frame with the one before by a thumbnail.

    A cut must pass both tests: the grey values differ (as in a flash or a fade), and
    their pattern differs (as does noise in a black picture).

    Attributes:
        cells: Thumbnail of the last frame, float32 (24, 32); None before the first.
    """

    def __init__(self) -> None:
        self.cells: NDArray[np.float32] | None = None

    def update(self, plane: NDArray[np.uint8]) -> bool:
        """Takes the next frame.

        Args:
            plane: uint8 luma with shape (H, W).

        Returns:
            Whether a new scene starts with this frame. False for the first frame.
        """
        current = thumbnail(plane)
        previous, self.cells = self.cells, current
        if previous is None:
            return False
        difference = float(np.abs(current - previous).mean())
        return (
            difference > _MIN_DIFFERENCE
            and _correlation(current, previous) < _MAX_CORRELATION
        )


def _correlation(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Returns Pearson's correlation of two images, 0 if one of them is constant."""
    a, b = first - first.mean(), second - second.mean()
    norm = float(np.sqrt(np.square(a).sum() * np.square(b).sum()))
    return float((a * b).sum()) / norm if norm > 0 else 0.0
