"""Track of a face store, whose files are read on demand."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lightly_marlin.audio.samples import from_int16
from lightly_marlin.regions import RegionCells
from lightly_marlin.store.crop_video import read_crops
from lightly_marlin.store.format import CROP_SIZE, TrackRow, track_arrays
from lightly_marlin.store.npy_rows import map_array, read_rows
from lightly_marlin.store.repair import damaged_file, lost_file, no_audio
from lightly_marlin.store.track_files import VIDEO, file_place

__all__ = ["Track"]

_Array = npt.NDArray[Any]

_MAX_SECONDS = 1e9
"""Times beyond are damage."""


@dataclass(frozen=True)
class Track:
    """One face over consecutive frames. Everything is read on demand.

    Attributes:
        row: The track's row of the index; its fields are also attributes of the track.
        store: The folder of the store.
    """

    row: TrackRow
    store: Path

    @property
    def track_id(self) -> str:
        """Unique name of the track."""
        return self.row.track_id

    @property
    def source(self) -> str:
        """Source video, relative to the folder that was prepared."""
        return self.row.source

    @property
    def start_frame(self) -> int:
        """Index of the first frame in the source."""
        return self.row.start_frame

    @property
    def num_frames(self) -> int:
        """Length in frames."""
        return self.row.num_frames

    @property
    def fps(self) -> float:
        """Frames per second of the source."""
        return self.row.fps

    @property
    def num_samples(self) -> int:
        """Samples of its sound at 16 kHz; 0 if it was prepared without sound."""
        return self.row.num_samples

    @property
    def frames(self) -> npt.NDArray[np.uint8]:
        """All crops: uint8 array with shape (num_frames, 224, 224, 3), RGB."""
        video = self.read_video(range(self.num_frames))
        return np.ascontiguousarray(video.transpose(1, 2, 3, 0))

    @property
    def cells(self) -> RegionCells:
        """Regions of all frames: int32 bit masks with shape (num_frames, 28, 28)."""
        return self.read_cells(range(self.num_frames))

    @property
    def landmarks(self) -> npt.NDArray[np.float32]:
        """Landmarks (x, y) in crop pixels: float32 array (num_frames, 68, 2)."""
        return self.read_landmarks(range(self.num_frames))

    @property
    def boxes(self) -> npt.NDArray[np.float32]:
        """Crop boxes x0, y0, x1, y1 in source pixels: float32 array (num_frames, 4)."""
        return self.read_boxes(range(self.num_frames))

    @property
    def angles(self) -> npt.NDArray[np.float32]:
        """Clockwise rotation of the boxes in radians: float32 (num_frames,)."""
        return self._rows("angles", range(self.num_frames))

    @property
    def audio(self) -> npt.NDArray[np.int16]:
        """Its sound: int16 array with shape (num_samples,), mono at 16 kHz.

        Sample 0 sounds with the first frame, sample `round(16000 * seconds[i])` with
        frame i. Where the recording has no sound, it is silent. The array is a memory
        map, which reads what is looked at and cannot be written.

        Raises:
            UsageError: If it was prepared without sound, or the file is missing or
                damaged.
        """
        return self._array("audio", map_array)

    @property
    def seconds(self) -> npt.NDArray[np.float64]:
        """Time of each frame after the first one: float64 array (num_frames,).

        The rate tells it where there is no sound to go with it.

        Raises:
            UsageError: If the file is missing or damaged.
        """
        return self.read_seconds(range(self.num_frames))

    def read_video(self, frames: Sequence[int]) -> npt.NDArray[np.uint8]:
        """Reads some crops.

        Args:
            frames: Indices in [0, num_frames), ascending.

        Returns:
            uint8 array with shape (3, len(frames), 224, 224), RGB in [0, 255].

        Raises:
            UsageError: If a file is missing or damaged.
        """
        table = self._rows("frames", frames)
        path, start, size, _ = file_place(self.row, self.store, VIDEO)
        stop = None if size is None else start + size
        return read_crops(path, table, CROP_SIZE, start=start, stop=stop)

    def read_cells(self, frames: Sequence[int]) -> RegionCells:
        """Reads the regions of some frames.

        Args:
            frames: Indices in [0, num_frames), ascending.

        Returns:
            int32 bit masks with shape (len(frames), 28, 28).

        Raises:
            UsageError: If the file is missing or damaged.
        """
        bits = self._rows("cells", frames).astype(np.int32)
        return RegionCells(torch.from_numpy(bits))

    def read_boxes(self, frames: Sequence[int]) -> npt.NDArray[np.float32]:
        """Reads the crop boxes of some frames.

        Args:
            frames: Indices in [0, num_frames), ascending.

        Returns:
            float32 array with shape (len(frames), 4): x0, y0, x1, y1 in source pixels.

        Raises:
            UsageError: If the file is missing or damaged.
        """
        return self._rows("boxes", frames)

    def read_landmarks(
        self, frames: Sequence[int], *, in_source: bool = False
    ) -> npt.NDArray[np.float32]:
        """Reads the landmarks of some frames.

        Args:
            frames: Indices in [0, num_frames), ascending.
            in_source: Return source pixels instead of crop pixels.

        Returns:
            float32 array with shape (len(frames), 68, 2): x, y.

        Raises:
            UsageError: If a file is missing or damaged.
        """
        landmarks = self._rows("landmarks", frames)
        if not in_source:
            return landmarks
        from lightly_marlin.faces.crop import landmarks_to_source

        return landmarks_to_source(
            landmarks,
            self.read_boxes(frames),
            CROP_SIZE,
            self._rows("angles", frames),
        )

    def read_audio(self, begin: int, num_samples: int) -> npt.NDArray[np.float32]:
        """Reads some of its sound.

        Args:
            begin: Index of the first sample, on the clock of `audio`; may be negative.
            num_samples: Number of samples; those outside the track are silence.

        Returns:
            float32 array with shape (num_samples,), in [-1, 1], 16 kHz.

        Raises:
            UsageError: If it was prepared without sound, or the file is missing or
                damaged.
        """
        if not self.num_samples:
            raise no_audio(self.track_id, self.store)
        samples = np.zeros(num_samples, np.float32)
        first, stop = max(begin, 0), min(begin + num_samples, self.num_samples)
        if first < stop:
            sound = self._rows("audio", range(first, stop))
            samples[first - begin : stop - begin] = from_int16(sound)
        return samples

    def read_seconds(self, frames: Sequence[int]) -> npt.NDArray[np.float64]:
        """Reads the times of some frames after the first frame of the track.

        Args:
            frames: Indices in [0, num_frames), ascending.

        Returns:
            float64 array with shape (len(frames),); by the rate, where there is no
            sound to go with it.

        Raises:
            UsageError: If the file is missing or damaged.
        """
        if not self.num_samples:
            return np.asarray(frames, np.float64) / self.fps
        seconds = self._rows("seconds", frames)
        # False for NaN too.
        if not ((seconds >= 0) & (seconds < _MAX_SECONDS)).all():
            path = file_place(self.row, self.store, "seconds").path
            raise damaged_file("file", path, "holds what is no time")
        return seconds

    def _rows(self, name: str, frames: Sequence[int]) -> npt.NDArray[Any]:
        """Reads some entries of one of the track's arrays."""
        return self._array(name, functools.partial(read_rows, rows=frames))

    def _array(self, name: str, read: Callable[..., _Array]) -> _Array:
        """Reads one of the track's arrays; explains what is wrong with its file."""
        arrays = track_arrays(self.num_frames, self.num_samples)
        if name not in arrays:
            raise no_audio(self.track_id, self.store)
        path, start, _, member = file_place(self.row, self.store, name)
        dtype, shape = arrays[name]
        try:
            return read(path, dtype, shape, start=start, member=member)
        except OSError as error:
            raise lost_file("file", path, error) from error
        except ValueError as error:
            raise damaged_file("file", path, f"cannot be read: {error}") from error
