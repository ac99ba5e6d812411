import csv

import numpy as np
import pytest
import torch
from PIL import Image

from lightly_marlin.analysis.points_table import write_points_table
from lightly_marlin.analysis.window_points import VideoPoints, WindowPoint
from lightly_marlin.features.video_stream import VideoEnd
from lightly_marlin.features.video_windows import VideoInfo


def video(fps, *places):
    """A video of 40 frames; before the last of them is a pause of ten seconds."""
    seconds = np.arange(40) / fps
    seconds[39] += 10
    picture = Image.new("RGB", (1, 1))
    points = [WindowPoint(torch.ones(2), *place, 16, picture) for place in places]
    return VideoPoints(VideoEnd("ok", None, VideoInfo(seconds=seconds)), points)


def test_write_points_table(tmp_path):
    videos = {
        "a,b.mp4": video(25, (0, 0), (1, 10)),
        "ü.mp4": video(30, (0, 32), (0, 39)),
    }
    coordinates = np.array([[0.1, 1], [-2, 1e-17], [3, 4], [5, 6]])
    write_points_table(tmp_path / "t.csv", videos, coordinates)
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    columns = "source track start_frame start_seconds num_frames x y"
    assert rows == [
        columns.split(),
        ["a,b.mp4", "0", "0", "0.000", "16", "0.1", "1.0"],
        ["a,b.mp4", "1", "10", "0.400", "16", "-2.0", "1e-17"],
        ["ü.mp4", "0", "32", "1.067", "16", "3.0", "4.0"],
        ["ü.mp4", "0", "39", "11.300", "16", "5.0", "6.0"],
    ]


def test_write_points_table__errors(tmp_path):
    with pytest.raises(ValueError, match=r"coordinates \(3, 2\). There are 1 windows"):
        write_points_table(
            tmp_path / "t.csv", {"a": video(25, (0, 0))}, np.zeros((3, 2))
        )
    assert not list(tmp_path.iterdir())
