"""Track whose files are in memory, as a streaming engine delivers them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lightly_marlin.store.crop_video import decode_crops
from lightly_marlin.store.format import CROP_SIZE, track_arrays
from lightly_marlin.store.npy_rows import rows_of_bytes
from lightly_marlin.store.repair import no_audio
from lightly_marlin.store.track import Track
from lightly_marlin.store.track_files import VIDEO
from lightly_marlin.utils.errors import UsageError

__all__ = ["MemoryTrack"]


@dataclass(frozen=True)
class MemoryTrack(Track):
    """A track as the bytes of its files, which is read as one on disk is.

    Attributes:
        files: Content of its files by the names that `track_files` returns.
    """

    store: Path = Path()
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def read_video(self, frames: Sequence[int]) -> npt.NDArray[np.uint8]:
        """Decodes some crops, as `Track.read_video` does."""
        table = self._rows("frames", frames)
        where = f"of {self.track_id}"
        return decode_crops(self.files[VIDEO], table, CROP_SIZE, where)

    def _array(
        self, name: str, read: Callable[..., npt.NDArray[Any]]
    ) -> npt.NDArray[Any]:
        del read
        arrays = track_arrays(self.num_frames, self.num_samples)
        return self._rows(name, range(arrays[name][1][0] if name in arrays else 0))

    def _rows(self, name: str, frames: Sequence[int]) -> npt.NDArray[Any]:
        """Returns some entries of one of the track's arrays."""
        arrays = track_arrays(self.num_frames, self.num_samples)
        if name not in arrays:
            raise no_audio(self.track_id, self.store)
        try:
            return rows_of_bytes(self.files[name], *arrays[name], frames)
        except (KeyError, ValueError) as error:
            raise UsageError(
                f"The {name} of the track {self.track_id} cannot be read: {error}. "
                "Export the store again: python recipes/export_store.py STORE OUT"
            ) from error
