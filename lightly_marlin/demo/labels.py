"""Labels of the built-in demo clips, exact: from the curves that animate them.

Each clip is cut into stretches of 1.28 s, as long as a window of 16 frames at stride 2.
The camera's view, light and reflection change none of the labels.
"""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from lightly_marlin.demo.motion import (
    FPS,
    clip_generator,
    expression_curves,
    lip_distance,
)
from lightly_marlin.utils.files import atomic_write

__all__ = ["DemoLabels", "demo_labels", "write_demo_labels"]

# Medians of the curves' means over 1.28 s of a great many clips, so that both values of
# every label are as common. Smile and nod are symmetric about 0.
_TALKING, _SMILE, _BROW, _NOD = 0.19, 0.0, 0.05, 0.0


@dataclass(frozen=True)
class DemoLabels:
    """Labels of a stretch of a demo clip.

    Attributes:
        video: File name of the clip, as `write_demo_videos` writes it.
        start: First second.
        end: Second before which the stretch ends.
        group: Name of the clip: its stretches share light and view.
        talking: 1 if the mouth is open wider on average than in half of all stretches.
        smile: 1 if the corners of the mouth are up on average.
        brow: 1 if the brows are raised higher on average than in half of all stretches.
        nod: 1 if the head is tilted down on average.
        opening: Mean opening of the lips beyond their rest, in distances between the
            eyes.
    """

    video: str
    start: float
    end: float
    group: str
    talking: int
    smile: int
    brow: int
    nod: int
    opening: float


def demo_labels(
    num_clips: int = 24,
    num_frames: int = 64,
    *,
    seed: int = 0,
    stretch_frames: int = 32,
) -> list[DemoLabels]:
    """Returns the labels of the demo clips, without making the clips.

    Args:
        num_clips: Number of clips, at least 1.
        num_frames: Frames per clip.
        seed: Seed of the clips.
        stretch_frames: Frames per stretch, in [1, num_frames]; what is left at the end
            of a clip has no labels.

    Returns:
        One entry per stretch, by clip and time.

    Raises:
        ValueError: If a number is out of range.
    """
    if num_clips < 1:
        raise ValueError(f"Invalid num_clips {num_clips}: must be at least 1.")
    if not 1 <= stretch_frames <= num_frames:
        raise ValueError(
            f"Invalid stretch_frames {stretch_frames}: must be in [1, {num_frames}], "
            "the frames of a clip."
        )
    return [
        labels
        for index in range(num_clips)
        for labels in _clip_labels(index, num_frames, seed, stretch_frames)
    ]


def write_demo_labels(
    path: Path | str,
    num_clips: int = 24,
    num_frames: int = 64,
    *,
    seed: int = 0,
    stretch_frames: int = 32,
) -> None:
    """Writes `demo_labels` as CSV, for `lightly_marlin.evaluation.read_labels`.

    Args:
        path: The file to write; its folder exists.
        num_clips: See `demo_labels`.
        num_frames: See `demo_labels`.
        seed: See `demo_labels`.
        stretch_frames: See `demo_labels`.
    """
    rows = demo_labels(num_clips, num_frames, seed=seed, stretch_frames=stretch_frames)
    with (
        atomic_write(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, [field.name for field in fields(DemoLabels)])
        writer.writeheader()
        writer.writerows(map(asdict, rows))


def _clip_labels(
    index: int, num_frames: int, seed: int, stretch_frames: int
) -> list[DemoLabels]:
    name = f"demo_{index:02d}"
    curves = expression_curves(clip_generator(index, seed), np.arange(num_frames) / FPS)
    lips = lip_distance(curves.opening)
    result = []
    for start in range(0, num_frames - stretch_frames + 1, stretch_frames):
        frames = slice(start, start + stretch_frames)
        result.append(
            DemoLabels(
                video=f"{name}.mp4",
                start=start / FPS,
                end=(start + stretch_frames) / FPS,
                group=name,
                talking=int(curves.opening[frames].mean() > _TALKING),
                smile=int(curves.smile[frames].mean() > _SMILE),
                brow=int(curves.brows[frames].mean() > _BROW),
                nod=int(curves.nod[frames].mean() > _NOD),
                # Six digits are far below what a pixel shows, and alike everywhere.
                opening=round(float(lips[frames].mean()), 6),
            )
        )
    return result
