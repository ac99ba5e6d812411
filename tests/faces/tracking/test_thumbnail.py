import numpy as np
import pytest

from lightly_marlin.faces.tracking.thumbnail import thumbnail


@pytest.mark.parametrize("size", [(24, 32), (240, 320), (720, 1280), (37, 91)])
def test_cells_are_means(size):
    plane = np.zeros(size, np.uint8)
    plane[: size[0] // 2] = 200
    cells = thumbnail(plane)
    assert cells.shape == (24, 32)
    assert cells[:11].min() > 190
    assert cells[13:].max() < 10


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (5, 7)])
def test_tiny_planes(size):
    assert (thumbnail(np.full(size, 9, np.uint8)) == 9).all()
