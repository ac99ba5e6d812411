import pytest
import torch

from lightly_marlin.models.positional_embedding import sincos_positional_embedding
from lightly_marlin.models.weights.positional_interpolation import (
    guess_grid,
    interpolate_positions,
)


def test_interpolates_along_each_axis_alone():
    # One column per axis: a token's own coordinate.
    grid = torch.meshgrid(torch.arange(4.0), torch.arange(2.0), torch.arange(2.0))
    table = torch.stack(grid, dim=-1).view(1, 16, 3)
    stretched = interpolate_positions(table, (4, 2, 2), (2, 4, 2)).view(2, 4, 2, 3)
    # Centres of the new tokens in units of the old: 0.5 and 2.5; -0.25 is clamped.
    time, row = torch.tensor([0.5, 2.5]), torch.tensor([0, 0.25, 0.75, 1])
    torch.testing.assert_close(stretched[..., 0], time.view(2, 1, 1).expand(2, 4, 2))
    torch.testing.assert_close(stretched[..., 1], row.view(1, 4, 1).expand(2, 4, 2))
    torch.testing.assert_close(stretched[..., 2], grid[2][:2, :1].expand(2, 4, 2))


def test_the_same_grid_changes_nothing():
    table = torch.randn(1, 24, 5)
    assert torch.equal(interpolate_positions(table, (2, 3, 4), (2, 3, 4)), table)


def test_a_sine_table_keeps_saying_where_a_token_is():
    # The closest old row is that of the same place; a recomputed table would point
    # elsewhere.
    old = sincos_positional_embedding(8 * 14 * 14, 64)[0]
    new = interpolate_positions(old[None], (8, 14, 14), (8, 28, 28))[0]
    nearest = torch.cdist(new, old).argmin(dim=1).view(8, 28, 28)
    same_place = torch.arange(1568).view(8, 14, 14)
    for dim in (1, 2):
        same_place = same_place.repeat_interleave(2, dim)
    assert torch.equal(nearest, same_place)
    recomputed = sincos_positional_embedding(8 * 28 * 28, 64)[0]
    misled = torch.cdist(recomputed, old).argmin(dim=1).view(8, 28, 28)
    assert (misled != same_place).float().mean() > 0.9


@pytest.mark.parametrize(
    ("count", "target", "grid"),
    [
        (1568, (16, 14, 14), (8, 14, 14)),
        (1568, (8, 7, 7), (8, 14, 14)),
        (392, (8, 14, 14), (8, 7, 7)),
        (3136, (8, 14, 14), (16, 14, 14)),
        (16, (8, 2, 2), (4, 2, 2)),
    ],
)
def test_grids_are_guessed(count, target, grid):
    assert guess_grid(count, target) == grid


def test_a_grid_that_cannot_be_guessed_is_an_error():
    with pytest.raises(
        ValueError, match=r"how 18 positions are laid out.*config\.json"
    ):
        guess_grid(18, (8, 14, 14))
