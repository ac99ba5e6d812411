"""Selection of tracks that costs next to nothing to send to worker processes."""

from __future__ import annotations

import contextlib
import os
import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lightly_marlin.utils.errors import UsageError

__all__ = ["TrackSelection"]

_INLINE_BYTES = 256


class TrackSelection:
    """Ascending indices of the tracks of a store.

    Pickled, it is a few bytes: all tracks are their number, few are themselves, and
    many are the path of a temporary file, which the process that pickles keeps as long
    as its selection, and the others map into memory. So it can be sent to processes of
    the same machine.

    Attributes:
        indices: int64 array, ascending.
    """

    def __init__(self, indices: npt.NDArray[np.int64], num_tracks: int) -> None:
        """Takes the indices.

        Args:
            indices: int64 array, ascending, of distinct indices in [0, num_tracks).
            num_tracks: Number of tracks of the store.
        """
        self.indices = indices
        self._is_all = len(indices) == num_tracks
        self._file: Path | None = None

    def __len__(self) -> int:
        return len(self.indices)

    def __getstate__(self) -> dict[str, Any]:
        """Returns what makes the same selection in another process."""
        if self._is_all:
            return {"count": len(self.indices)}
        if self.indices.nbytes <= _INLINE_BYTES:
            return {"indices": self.indices}
        if self._file is None or not self._file.exists():
            self._file = _write(self.indices)
            weakref.finalize(self, _remove, self._file, os.getpid())
        return {"file": str(self._file)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Makes the selection again.

        Raises:
            UsageError: If its file is gone.
        """
        self._is_all = "count" in state
        self._file = None
        if "file" not in state:
            count = state.get("count", 0)
            self.indices = np.arange(count) if self._is_all else state["indices"]
            return
        self._file = Path(state["file"])
        try:
            self.indices = np.load(self._file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"The selection of tracks {self._file} cannot be read ({error}): the "
                "process that made it has ended, or is on another machine. Make the "
                "data set there."
            ) from error


def _write(indices: npt.NDArray[np.int64]) -> Path:
    handle, name = tempfile.mkstemp(prefix="tracks-", suffix=".npy")
    with os.fdopen(handle, "wb") as file:
        np.save(file, indices)
    return Path(name)


def _remove(file: Path, process: int) -> None:
    """Removes the file where it was made: a forked worker has the selection, too."""
    if os.getpid() == process:
        with contextlib.suppress(OSError):
            file.unlink()
