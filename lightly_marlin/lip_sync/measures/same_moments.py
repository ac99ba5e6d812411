"""Pictures of two videos at the same moments, 25 per second."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lightly_marlin.faces.crop import crop_face
from lightly_marlin.lip_sync.frame_rate import FPS, frames_shown
from lightly_marlin.lip_sync.measures.face_sound import PlacedFace
from lightly_marlin.video import VideoError, VideoReader

__all__ = ["Moment", "num_common_moments", "same_moments"]


class Moment(NamedTuple):
    """Pictures of a real and a generated video at one time; uint8, RGB.

    Attributes:
        real: Frame (H, W, 3) of the real video.
        generated: Frame of the generated one, of any size.
        real_crop: Crop (size, size, 3) of the real face.
        generated_crop: Crop of the generated frame at the same place; None if the
            frames differ in size.
    """

    real: npt.NDArray[np.uint8]
    generated: npt.NDArray[np.uint8]
    real_crop: npt.NDArray[np.uint8]
    generated_crop: npt.NDArray[np.uint8] | None


def num_common_moments(real: PlacedFace, generated: PlacedFace) -> int:
    """Returns how many frames at 25 per second of the real face both videos have."""
    left = math.floor((generated.duration - real.face.start) * FPS + 0.5)
    return max(0, min(len(real.face.frames), left))


def same_moments(
    real_path: Path | str,
    real: PlacedFace,
    generated_path: Path | str,
    generated: PlacedFace,
) -> Iterator[Moment]:
    """Reads two videos side by side, while the real face is seen.

    Both are cropped by the boxes of the real face: boxes of their own would differ by
    the search, not by what was generated. Times count from the first picture of each.

    Args:
        real_path: The real video.
        real: Its face.
        generated_path: The generated video.
        generated: Its face, whose times are needed.

    Yields:
        `num_common_moments` moments.

    Raises:
        VideoError: If a file cannot be read any more.
    """
    count = num_common_moments(real, generated)
    start, size = real.face.start, real.face.frames.shape[1]
    rows = [frames_shown(one.seconds - start, count) for one in (real, generated)]
    pictures = zip(
        _frames_at(real_path, rows[0]),
        _frames_at(generated_path, rows[1]),
        strict=True,
    )
    for index, (shown, made) in enumerate(pictures):
        crop = None
        if made.shape == shown.shape:
            crop = crop_face(made, real.boxes[index], size, float(real.angles[index]))
        yield Moment(shown, made, real.face.frames[index], crop)


def _frames_at(
    path: Path | str, rows: Sequence[int] | npt.NDArray[np.int64]
) -> Iterator[npt.NDArray[np.uint8]]:
    """Yields the frames of ascending indices, repeated ones repeatedly."""
    done = 0
    if not len(rows):
        return
    with VideoReader(path) as reader:
        first, stop = int(rows[0]), int(rows[-1]) + 1
        for index, convert in enumerate(reader.lazy_frames(first, stop), start=first):
            frame = convert() if rows[done] == index else None
            while frame is not None and done < len(rows) and rows[done] == index:
                yield frame
                done += 1
    if done < len(rows):
        raise VideoError(path, "it changed while it was read")
