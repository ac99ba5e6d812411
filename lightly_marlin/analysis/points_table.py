"""Table of the positions of windows in a plane."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lightly_marlin.analysis.window_points import VideoPoints
from lightly_marlin.utils.files import atomic_write

__all__ = ["write_points_table"]

_COLUMNS = ("source", "track", "start_frame", "start_seconds", "num_frames", "x", "y")


def write_points_table(
    path: Path,
    videos: Mapping[str, VideoPoints],
    coordinates: npt.NDArray[np.float64],
) -> None:
    """Writes a CSV file with a row for every window.

    Args:
        path: The file to write.
        videos: Windows of each video by its name.
        coordinates: Positions (n, 2) of all windows, in the same order.

    Raises:
        ValueError: If the numbers of positions and windows differ.
    """
    number = sum(len(video.points) for video in videos.values())
    if coordinates.shape != (number, 2):
        raise ValueError(
            f"Invalid shape of coordinates {coordinates.shape}. There are {number} "
            "windows."
        )
    places = iter(coordinates.tolist())
    with (
        atomic_write(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for source, video in videos.items():
            for point in video.points:
                seconds = f"{video.end.info.seconds[point.start_frame]:.3f}"
                place = (point.track, point.start_frame, seconds, point.num_frames)
                writer.writerow((source, *place, *next(places)))
