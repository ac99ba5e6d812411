"""The transpose of the gather of tubelets."""

import pytest
import torch
from naive_kernels import random_idx, random_videos
from torch.library import opcheck

from lightly_marlin.kernels import gather_tubelets
from lightly_marlin.kernels.scatter_tubelets import (
    scatter_tubelets,
    scatter_tubelets_op,
)

FUNCTIONS = (scatter_tubelets, scatter_tubelets_op)
SHAPE = [2, 3, 4, 8, 12]


def _scatter(scatter, rows, idx, std=None, layout="c t h w"):
    return scatter(rows, idx, std, SHAPE, 2, 4, layout, rows.dtype)


@pytest.mark.parametrize("scatter", FUNCTIONS)
@pytest.mark.parametrize("layout", ["c t h w", "t h w c"])
def test_puts_back_what_was_gathered(scatter, layout):
    videos, idx = random_videos(SHAPE, torch.float32), random_idx(2, 12, 12)
    pixels = gather_tubelets(videos, idx, tubelet_size=2, patch_size=4, layout=layout)
    assert torch.equal(_scatter(scatter, pixels, idx, layout=layout), videos)


@pytest.mark.parametrize("scatter", FUNCTIONS)
@pytest.mark.parametrize("std", [None, [0.5, 1.0, 2.0]])
def test_is_the_transpose_of_the_gather(scatter, std):
    """<gather(v), g> = <v, scatter(g)> for any clips and any rows."""
    videos, idx = torch.rand(SHAPE), random_idx(2, 5, 12)
    idx[0, 1] = idx[0, 0]
    rows = torch.randn(2, 5, 96)
    gathered = gather_tubelets(videos, idx, tubelet_size=2, patch_size=4, std=std)
    std = None if std is None else torch.tensor(std)
    scattered = _scatter(scatter, rows, idx, std)
    torch.testing.assert_close(
        (gathered * rows).double().sum(),
        (videos * scattered).double().sum(),
        rtol=1e-5,
        atol=1e-4,
    )


@pytest.mark.parametrize("layout", ["c t h w", "t h w c"])
@pytest.mark.parametrize("std", [None, torch.ones(3)])
def test_opcheck(layout, std):
    rows, idx = torch.randn(2, 5, 96), random_idx(2, 5, 12)
    arguments = (rows, idx, std, SHAPE, 2, 4, layout, torch.float16)
    opcheck(scatter_tubelets_op, arguments)
