"""Synthetic problems to learn: features of every kind of label, and a face store."""

from collections import namedtuple

import numpy as np
import pytest
import torch

from lightly_marlin.evaluation import ItemFeatures, LabelTable, Target

Fold = namedtuple("Fold", "train val test")
Problem = namedtuple("Problem", "features table fold")

NAMES = {
    "binary": ("smile",),
    "multilabel": ("smile", "talk", "nod"),
    "multiclass": ("angry", "calm", "happy"),
    "regression": ("opening",),
}


def _labels(kind, hidden):
    if kind == "multiclass":
        return hidden[:, :3].argmax(dim=1, keepdim=True).float()
    if kind == "regression":
        return 50 + 10 * hidden[:, :1]
    return (hidden[:, : len(NAMES[kind])] > 0.5).float()


@pytest.fixture
def make_problem():
    """Function that makes items of two windows in groups of two, and one fold."""

    def make(kind="binary", count=120, *, tokens=None, windows=2, statuses=None):
        assert count <= 1000, "names of three digits sort as numbers do"
        generator = torch.Generator().manual_seed(0)
        hidden = torch.randn(count, 8, generator=generator)
        statuses = list(statuses or ["ok"] * count)
        rows = torch.tensor(
            [i for i in range(count) if statuses[i] == "ok" for _ in range(windows)]
        )
        shape = (len(rows), 8) if tokens is None else (len(rows), tokens, 8)
        signal = hidden[rows] if tokens is None else hidden[rows, None]
        features = signal + 0.3 * torch.randn(shape, generator=generator)
        table = LabelTable.make(
            Target(kind, NAMES[kind]),
            [f"{index:03}.mp4" for index in range(count)],
            _labels(kind, hidden),
            groups=[f"person {index // 2:03}" for index in range(count)],
            name="faces",
        )
        reasons = [None if status == "ok" else status for status in statuses]
        half, most = count // 2, count * 2 // 3
        fold = Fold(
            list(range(half)), list(range(half, most)), list(range(most, count))
        )
        return Problem(
            ItemFeatures(
                features,
                rows,
                tuple(statuses),
                tuple(reasons),
                {"name": "m", "grid": [1, 1, tokens or 1]},
            ),
            table,
            fold,
        )

    return make


VIDEOS = 12
FRAMES = 40


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
    for number in range(VIDEOS):
        path = folder / "videos" / f"v{number:02d}.mp4"
        write_video(path, _frames(number, FRAMES))
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
        [f"v{number:02d}" for number in range(VIDEOS)],
        torch.arange(VIDEOS).remainder(2).float()[:, None],
        splits=splits,
    )
