"""Synthetic problems that a probe can learn, of every kind of label."""

from collections import namedtuple

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
                features, rows, tuple(statuses), tuple(reasons), {"name": "m"}
            ),
            table,
            fold,
        )

    return make
