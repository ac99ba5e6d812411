"""YouTube Faces in the layout of MARLIN's released preparation.

```
train_set.csv, val_set.csv                           columns path, len
crop_images_DB/<person>/<video>/<frame>.jpg
face_parsing_images_DB/<person>/<video>/<frame>.npy  int64 (faces, 224, 224)
```

Reading it takes several times as long as a face store; it is meant for existing data.
See `prepare_videos` for new data.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from lightly_marlin.data.clip_starts import Start, check_clip, choose_start, fit_stride
from lightly_marlin.data.face_clips import FaceClip
from lightly_marlin.regions import RegionCells
from lightly_marlin.store.format import CELLS_PER_SIDE, CROP_SIZE
from lightly_marlin.utils.errors import UsageError

__all__ = ["YouTubeFaces"]

_CROPS = "crop_images_DB"
_PARSES = "face_parsing_images_DB"
_LISTS = {"train": "train_set.csv", "val": "val_set.csv"}


class YouTubeFaces(Dataset[FaceClip]):
    """One clip per sequence, with the same items as `FaceClips`.

    The regions are those of the first face of each frame; a frame without a parsed face
    has none. Short sequences are treated as in `FaceClips`.

    Attributes:
        root: The folder.
        num_frames: Frames per clip.
        stride: Step between the frames of a clip.
        track_ids: Path of each sequence below the crops.
        num_left_out: Number of listed sequences that are too short.
    """

    def __init__(
        self,
        root: Path | str,
        split: str = "train",
        num_frames: int = 16,
        stride: int = 2,
        *,
        start: Start = "random",
        seed: int = 0,
    ) -> None:
        """Reads the list of sequences.

        Args:
            root: The folder with the lists, crops and parses.
            split: "train" or "val".
            num_frames: Frames per clip.
            stride: Step between the frames of a clip.
            start: Position of a clip in its sequence: "random", "center" or "first".
            seed: Seed of the random starts.

        Raises:
            UsageError: If the list is missing, damaged, or has no sequence long enough.
            ValueError: If an argument is invalid.
        """
        check_clip(num_frames, stride, start)
        if split not in _LISTS:
            raise ValueError(
                f"Invalid split {split!r}. Supported values are {', '.join(_LISTS)}."
            )
        self.root = Path(root).absolute()
        self.num_frames = num_frames
        self.stride = stride
        self._start = start
        self._seed = seed
        listed = _read_list(self.root / _LISTS[split])
        self.track_ids = [path for path, length in listed if length >= num_frames]
        self.num_left_out = len(listed) - len(self.track_ids)
        if not self.track_ids:
            raise UsageError(
                f"{self.root / _LISTS[split]} lists no sequence of at least "
                f"{num_frames} frames among {len(listed)}."
            )

    def __len__(self) -> int:
        return len(self.track_ids)

    def __getitem__(self, index: int | tuple[int, int]) -> FaceClip:
        index, draw = index if isinstance(index, tuple) else (index, None)
        length = len(self)
        if not -length <= index < length:
            raise IndexError(f"Invalid index {index}: there are {length} sequences.")
        index %= length
        track_id = self.track_ids[index]
        names = self._frame_names(track_id)
        stride = fit_stride(len(names), self.num_frames, self.stride)
        span = (self.num_frames - 1) * stride + 1
        start = choose_start(
            len(names) - span + 1,
            self._start,
            seed=self._seed,
            track=track_id,
            draw=draw,
        )
        chosen = names[start : start + span : stride]
        crops = [_read_crop(self.root / _CROPS / track_id / name) for name in chosen]
        parses = [
            (self.root / _PARSES / track_id / name).with_suffix(".npy")
            for name in chosen
        ]
        return FaceClip(
            video=torch.stack(crops, dim=1),
            regions=torch.stack([_read_cells(path) for path in parses]),
            track_id=track_id,
            start=start,
        )

    def _frame_names(self, track_id: str) -> list[str]:
        """Returns the files of a sequence in the order of their numbers."""
        folder = self.root / _CROPS / track_id
        names = [path.name for path in folder.glob("*.jpg")]
        if len(names) < self.num_frames:
            raise UsageError(
                f"{folder} holds {len(names)} frames; at least {self.num_frames} are "
                "needed. Remove it from the list, or restore its files."
            )
        return sorted(names, key=_numbers)


def _numbers(name: str) -> tuple[int, ...]:
    """Returns the numbers in a file name, so that frame 10 comes after frame 9."""
    return tuple(int(digits) for digits in re.findall(r"\d+", Path(name).stem))


def _read_list(path: Path) -> list[tuple[str, int]]:
    """Returns path and length of each sequence."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise UsageError(
            f"The list {path} cannot be read: {error.strerror}. The folder must be in "
            "the layout of MARLIN's preparation of YouTube Faces."
        ) from error
    try:
        return [(_sequence(row["path"]), int(row["len"])) for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"The list {path} is damaged ({error}): it needs the columns path and len."
        ) from error


def _sequence(path: str) -> str:
    """Returns a listed path relative to the folder of crops."""
    parts = PurePosixPath(path).parts
    return "/".join(parts[1:] if parts[:1] == (_CROPS,) else parts)


def _read_crop(path: Path) -> Tensor:
    """Returns one crop as uint8 (3, 224, 224)."""
    try:
        with Image.open(path) as image:
            image = image.convert("RGB")
    except OSError as error:
        raise UsageError(f"The crop {path} cannot be read: {error}.") from error
    if image.size != (CROP_SIZE, CROP_SIZE):
        image = image.resize((CROP_SIZE, CROP_SIZE), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def _read_cells(path: Path) -> Tensor:
    """Returns the cells of the first face of a frame, int32 (28, 28)."""
    try:
        faces = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        faces = np.empty((0, CROP_SIZE, CROP_SIZE), dtype=np.int64)
    except (OSError, ValueError, EOFError) as error:
        raise UsageError(f"The parse {path} cannot be read: {error}.") from error
    if faces.shape[1:] != (CROP_SIZE, CROP_SIZE):
        raise UsageError(
            f"The parse {path} has the shape {faces.shape}; it must be (faces, "
            f"{CROP_SIZE}, {CROP_SIZE})."
        )
    if len(faces) == 0:
        return torch.zeros(CELLS_PER_SIDE, CELLS_PER_SIDE, dtype=torch.int32)
    try:
        return RegionCells.from_labels(torch.from_numpy(faces[0])).bits
    except (TypeError, ValueError) as error:
        raise UsageError(f"The parse {path} cannot be used: {error}") from error
