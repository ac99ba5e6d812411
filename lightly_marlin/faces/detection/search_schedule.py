"""Schedule of whole-frame searches: as often as the picture changes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lightly_marlin.faces.tracking.thumbnail import THUMBNAIL_SIZE

__all__ = ["SearchSchedule"]

# A cell counts as changed from this difference in grey levels; camera noise, averaged
# over a cell, stays below. The smallest faces to search for cover 4 cells.
_CHANGED = 10.0
_MIN_CHANGED_CELLS = 4

# A face moves together with its background, so this much around it counts as known.
_MARGIN = 0.6


class SearchSchedule:
    """Selects the frames to search for faces that are not tracked yet.

    A new face can only be where something changed since the last search, outside the
    faces that are already tracked. A calm picture is therefore searched every
    `longest_gap` frames, a changing one every `shortest_gap`; a face that is found late
    is tracked backwards to its origin.
    """

    def __init__(self, shortest_gap: int, longest_gap: int) -> None:
        """Starts the schedule; the first frame is searched.

        Args:
            shortest_gap: Frames between two searches of a changing picture.
            longest_gap: Frames between two searches of any picture.
        """
        self._shortest = shortest_gap
        self._longest = max(shortest_gap, longest_gap)
        self._searched: NDArray[np.float32] | None = None
        self._age = 0

    def restart(self) -> None:
        """Requests a search of the next frame, the first of a scene."""
        self._searched = None

    def due(
        self, cells: NDArray[np.float32], faces: Sequence[NDArray[np.float64]]
    ) -> bool:
        """Takes the next frame.

        Args:
            cells: Thumbnail of the frame, float32 (24, 32).
            faces: Boxes (4,) of the tracked faces, as shares of width and height: x0,
                y0, x1, y1 in [0, 1].

        Returns:
            Whether to search this frame.
        """
        self._age += 1
        if self._searched is not None and self._age < self._longest:
            if self._age < self._shortest:
                return False
            changed = np.abs(cells - self._searched) > _CHANGED
            for face in faces:
                changed[_cells_of(face)] = False
            if np.count_nonzero(changed) < _MIN_CHANGED_CELLS:
                return False
        self._searched = cells
        self._age = 0
        return True


def _cells_of(face: NDArray[np.float64]) -> tuple[slice, slice]:
    """Returns the cells of a face and its surroundings."""
    size = np.array(THUMBNAIL_SIZE)
    margin = _MARGIN * (face[2:] - face[:2])
    low = np.clip(np.floor((face[:2] - margin) * size), 0, size).astype(int)
    high = np.clip(np.ceil((face[2:] + margin) * size), 0, size).astype(int)
    return slice(low[1], high[1]), slice(low[0], high[0])
