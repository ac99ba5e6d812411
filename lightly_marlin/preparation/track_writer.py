"""Writer of one track's files while its frames arrive."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from lightly_marlin.regions import RegionCells
from lightly_marlin.store.crop_video import JPEG_QUALITY, CropVideoWriter
from lightly_marlin.store.format import CROP_SIZE, track_arrays
from lightly_marlin.store.npy_rows import create_npy

if TYPE_CHECKING:
    from lightly_marlin.faces.tracking.track_quality import Appearance

__all__ = ["CropParser", "TrackWriter"]

_CHUNK = 32
"""Frames that are parsed together: enough for a batch, few enough for memory."""


CropParser = Callable[
    [npt.NDArray[np.uint8], npt.NDArray[np.float32]], npt.NDArray[np.integer[Any]]
]
"""Takes crops, uint8 (n, 224, 224, 3) RGB, and their landmarks, float32 (n, 68, 2) in
crop pixels; returns LaPa labels (n, 224, 224), -1 all over a frame without a face."""


class TrackWriter:
    """Measures the crops of a track one by one, and writes them and their regions.

    Only one batch of frames is held in memory, however long the track is.
    """

    def __init__(
        self,
        video: Path,
        landmarks: npt.NDArray[np.float32],
        boxes: npt.NDArray[np.float32],
        angles: npt.NDArray[np.float32],
        fps: float,
        parser: CropParser,
        *,
        jpeg_quality: int = JPEG_QUALITY,
    ) -> None:
        """Opens the files.

        Args:
            video: The crop video to write; the arrays go beside it.
            landmarks: float32 array with shape (n, 68, 2): x, y in crop pixels.
            boxes: float32 array with shape (n, 4) in source pixels.
            angles: float32 array with shape (n,): clockwise rotation of the boxes in
                radians.
            fps: Frame rate in frames per second.
            parser: Parser of crops into regions.
            jpeg_quality: Quality of the crops, from 1 to 100.
        """
        from lightly_marlin.faces.tracking.track_quality import AppearanceMeter

        self._path = video
        self._landmarks = landmarks
        self._parser = parser
        self._arrays = track_arrays(len(boxes))
        self._crops: list[npt.NDArray[np.uint8]] = []
        self._num_parsed = 0
        self._meter = AppearanceMeter()
        self._video = CropVideoWriter(video, CROP_SIZE, fps, jpeg_quality=jpeg_quality)
        self._save("landmarks", landmarks)
        self._save("boxes", boxes)
        self._save("angles", angles)
        self._cells = create_npy(self._array_path("cells"), *self._arrays["cells"])

    def write(self, crop: npt.NDArray[np.uint8]) -> None:
        """Appends one crop, uint8 with shape (224, 224, 3), RGB."""
        self._video.write(crop)
        self._crops.append(crop)
        if len(self._crops) == _CHUNK:
            self._parse()

    def close(self) -> Appearance:
        """Finishes the files.

        Returns:
            The appearance of the crops.

        Raises:
            RuntimeError: If the number of crops written differs from that of the
                frames.
        """
        self._parse()
        self._cells.close()
        expected = len(self._landmarks)
        if self._num_parsed != expected:
            raise RuntimeError(
                f"Wrote {self._num_parsed} of the {expected} frames of {self._path}."
            )
        self._save("frames", self._video.close())
        return self._meter.finish()

    def abandon(self) -> None:
        """Closes the unfinished files; does nothing after `close`."""
        self._cells.close()
        self._video.abandon()

    def _parse(self) -> None:
        """Parses the pending crops and appends their cells."""
        if not self._crops:
            return
        crops = np.stack(self._crops)
        first, last = self._num_parsed, self._num_parsed + len(crops)
        self._meter.update(crops, self._landmarks[first:last])
        labels = self._parser(crops, self._landmarks[first:last])
        if labels.shape != crops.shape[:3]:
            raise ValueError(
                f"Invalid shape of the parser's labels {labels.shape}: must be "
                f"{crops.shape[:3]}, one label per pixel."
            )
        # int16 holds every label and the -1 of a frame without a face.
        cells = RegionCells.from_labels(torch.from_numpy(labels.astype(np.int16)))
        self._cells.write(cells.bits.numpy().astype(np.uint16).tobytes())
        self._num_parsed = last
        self._crops.clear()

    def _array_path(self, name: str) -> Path:
        return self._path.with_suffix(f".{name}.npy")

    def _save(self, name: str, array: npt.NDArray[Any]) -> None:
        np.save(self._array_path(name), array.astype(self._arrays[name][0]))
