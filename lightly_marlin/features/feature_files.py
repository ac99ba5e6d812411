"""Feature files that are written row by row."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import struct
import tempfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from torch import Tensor

from lightly_marlin.utils.files import atomic_write, remove_leftovers

__all__ = ["FORMATS", "FeatureFile"]

FORMATS = ("npy", "safetensors")


class FeatureFile:
    """Collects the rows of a video, track by track, and writes them as one array.

    Rows are kept in temporary files beside the target, so memory does not grow with
    their number: a sequence of tokens takes 5 MB per window in the base model. The
    target appears once everything is written.

    Args:
        path: The file to write; its suffix, ".npy" or ".safetensors", is its format.
        shape: Shape of a row.
        dtype: "float32" or "float16".
    """

    def __init__(
        self, path: Path, shape: tuple[int, ...], dtype: str = "float32"
    ) -> None:
        self.path = path
        self._shape = shape
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._tracks: dict[int, IO[bytes]] = {}
        self._counts: dict[int, int] = {}
        self._files = contextlib.ExitStack()

    def add(self, track: int, features: Tensor) -> None:
        """Appends a row, a float32 tensor of the shape of a row, to a track."""
        if track not in self._tracks:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            rows = tempfile.TemporaryFile(dir=self.path.parent)  # noqa: SIM115
            self._tracks[track] = self._files.enter_context(rows)
            self._counts[track] = 0
        values = features.contiguous().numpy().astype(self._dtype, copy=False)
        self._tracks[track].write(values.tobytes())
        self._counts[track] += 1

    def close(self) -> None:
        """Writes the file: all rows, the tracks one after the other."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        shape = (sum(self._counts.values()), *self._shape)
        with atomic_write(self.path) as temporary, temporary.open("wb") as target:
            if self.path.suffix == ".npy":
                _write_npy_header(target, shape, self._dtype)
            else:
                _write_safetensors_header(target, shape, self._dtype)
            for track in sorted(self._tracks):
                self._tracks[track].seek(0)
                shutil.copyfileobj(self._tracks[track], target, 1 << 20)
            target.flush()
            os.fsync(target.fileno())
        self.abandon()

    def remove_remains(self) -> None:
        """Removes remnants of a run that was killed while writing this file."""
        # A folder that does not exist is reported when the file is written.
        with contextlib.suppress(OSError):
            remove_leftovers(self.path)

    def abandon(self) -> None:
        """Discards the rows; does nothing after `close`."""
        self._files.close()
        self._tracks.clear()


def _write_npy_header(
    file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]
) -> None:
    descr = np.lib.format.dtype_to_descr(dtype)
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _write_safetensors_header(
    file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]
) -> None:
    """Writes a header of one tensor, `features`.

    - [0]: https://huggingface.co/docs/safetensors, format
    """
    size = dtype.itemsize * int(np.prod(shape))
    name = f"F{8 * dtype.itemsize}"
    entry = {"dtype": name, "shape": shape, "data_offsets": [0, size]}
    text = json.dumps({"features": entry}).encode()
    # The format requires the data to begin at a multiple of eight bytes.
    text += b" " * (-len(text) % 8)
    file.write(struct.pack("<Q", len(text)) + text)
