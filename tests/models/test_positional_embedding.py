import math

import torch

from lightly_marlin.models.positional_embedding import sincos_positional_embedding


def test_known_values():
    table = sincos_positional_embedding(3, 4)
    # Columns 0 and 1 have wavelength 1, columns 2 and 3 wavelength 10000 ** (2 / 4).
    expected = [
        [math.sin(p), math.cos(p), math.sin(p / 100), math.cos(p / 100)]
        for p in range(3)
    ]
    torch.testing.assert_close(table, torch.tensor([expected]))


def test_stays_close_to_exact_angles_over_a_whole_clip():
    table = sincos_positional_embedding(1568, 384)[0]
    position = torch.arange(1568, dtype=torch.float64)[:, None]
    column = torch.arange(384)
    angle = position / 10000 ** ((column // 2 * 2).double() / 384)
    exact = torch.where(column % 2 == 0, angle.sin(), angle.cos())
    torch.testing.assert_close(table.double(), exact, rtol=0, atol=2e-4)


def test_shape_and_dtype():
    table = sincos_positional_embedding(5, 7)
    assert table.shape == (1, 5, 7)
    assert table.dtype == torch.float32
