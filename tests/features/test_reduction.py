import pytest
import torch

from lightly_marlin.features.reduction import make_reduction
from lightly_marlin.features.windows import WindowPlace

ROWS = [
    (WindowPlace(0, 0, 16, 30), torch.tensor([1.0, 5.0])),
    (WindowPlace(0, 32, 16, 62), torch.tensor([3.0, -2.0])),
]


def test_none_passes_on():
    reduction = make_reduction("none")
    assert [reduction.add(row) for row in ROWS] == [[row] for row in ROWS]
    assert reduction.finish() == []


@pytest.mark.parametrize(
    ("name", "expected"), [("mean", [2.0, 1.5]), ("max", [3.0, 5.0])]
)
def test_one_row_per_track(name, expected):
    reduction = make_reduction(name)
    assert [reduction.add(row) for row in ROWS] == [[], []]
    ((place, features),) = reduction.finish()
    assert place == WindowPlace(0, 0, 32, 62)
    assert features.dtype == torch.float32
    assert features.tolist() == expected


@pytest.mark.parametrize("name", ["none", "mean", "max"])
def test_nothing_gives_nothing(name):
    assert make_reduction(name).finish() == []


def test_means_of_many_windows_do_not_drift():
    reduction = make_reduction("mean")
    for _ in range(100_000):
        reduction.add((ROWS[0][0], torch.tensor([0.1])))
    ((_, mean),) = reduction.finish()
    assert mean.item() == torch.tensor(0.1).item()
