"""Schedule of the slow CNN detector: rarely, and where the fast one finds nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["CnnSchedule"]

# Frames without a face before the first detection pass, and after each empty one.
_FIRST_WAIT = 8
_LONGEST_WAIT = 512

# However often the scene changes, a detection pass costs as much as a hundred frames.
_FREE_LOOKS = 3
_FRAMES_PER_LOOK = 150

# In a picture that is black or uniformly grey, there is nothing to find.
_MIN_CONTRAST = 10.0


class CnnSchedule:
    """Selects the frames without a face that are passed to the CNN detector.

    The wait doubles after each empty detection pass, and is reset by each scene and
    each face, within a budget that grows with the length of the video.
    """

    def __init__(self) -> None:
        self._wait = _FIRST_WAIT
        self._without_face = 0
        self._num_frames = 0
        self._num_looks = 0

    def restart(self) -> None:
        """Starts a scene."""
        self._wait = _FIRST_WAIT
        self._without_face = 0

    def due(self, plane: NDArray[np.uint8], *, has_face: bool) -> bool:
        """Takes the next frame.

        Args:
            plane: uint8 luma with shape (H, W).
            has_face: Whether a face is being tracked in it.

        Returns:
            Whether to run the detector on it.
        """
        self._num_frames += 1
        if has_face:
            self.restart()
            return False
        self._without_face += 1
        if self._without_face < self._wait:
            return False
        if self._num_looks >= _FREE_LOOKS + self._num_frames // _FRAMES_PER_LOOK:
            return False
        return float(np.std(plane[::8, ::8])) >= _MIN_CONTRAST

    def looked(self, *, found: bool) -> None:
        """Records a detection pass.

        Args:
            found: Whether it found a face.
        """
        self._num_looks += 1
        self._without_face = 0
        if not found:
            self._wait = min(2 * self._wait, _LONGEST_WAIT)
