"""A face store of labelled videos, small and easy enough to be learned in a test."""

import numpy as np
import pytest
import torch

from lightly_marlin.evaluation.label_table import LabelTable
from lightly_marlin.evaluation.target import Target

NUM_VIDEOS = 12
NUM_FRAMES = 40


def _frames(number, count):
    """Moving waves; odd videos are reddish, even ones bluish. uint8 (T, H, W, 3)."""
    t, y, x = np.mgrid[:count, :96, :128].astype(np.float32)
    wave = 30 * np.sin(x / 11 + t / 5 + number) * np.cos(y / 13)
    tint = 50 if number % 2 else -50
    rgb = np.stack([150 + tint + wave, 130 + wave, 150 - tint + wave], axis=-1)
    return rgb.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def colored_store(tmp_path_factory, fake_finder):
    """Store of v00.mp4 to v11.mp4, whose odd videos are of another colour."""
    from lightly_marlin.preparation import prepare_videos
    from lightly_marlin.store import FaceStore
    from lightly_marlin.video import write_video

    folder = tmp_path_factory.mktemp("colored")
    (folder / "videos").mkdir()
    for number in range(NUM_VIDEOS):
        path = folder / "videos" / f"v{number:02d}.mp4"
        write_video(path, _frames(number, NUM_FRAMES))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lightly_marlin.faces.FaceFinder", fake_finder)
        prepare_videos(folder / "videos", folder / "store", num_workers=0)
    return FaceStore(folder / "store")


@pytest.fixture(scope="session")
def colored_table():
    """Labels of these videos: 1 for odd ones; 6 to train on, 3 and 3 held out."""
    splits = ["train"] * 6 + ["val"] * 3 + ["test"] * 3
    return LabelTable.make(
        Target("binary", ("red",)),
        [f"v{number:02d}" for number in range(NUM_VIDEOS)],
        torch.arange(NUM_VIDEOS).remainder(2).float()[:, None],
        splits=splits,
    )
