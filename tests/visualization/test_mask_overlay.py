import torch

from lightly_marlin.regions import Label, RegionCells
from lightly_marlin.visualization.mask_overlay import (
    hatch_undecoded,
    mask_overlay,
    masked_pixels,
)
from lightly_marlin.visualization.region_colors import REGION_COLORS


def test_mask_overlay__paints_only_masked_tokens_in_region_colours():
    videos = torch.zeros(1, 3, 2, 32, 32, dtype=torch.uint8)
    labels = torch.zeros(1, 2, 32, 32, dtype=torch.int64)
    labels[..., 16:, :] = Label.NOSE
    cells = RegionCells.from_labels(labels).bits
    painted = mask_overlay(videos, torch.tensor([[0, 2]]), cells, strength=1.0)
    for row, label in ((0, Label.BACKGROUND), (16, Label.NOSE)):
        color = torch.tensor(REGION_COLORS[label])
        torch.testing.assert_close(painted[0, :, 0, row, 0], color)
        assert painted[0, :, 0, row, 16:].eq(0).all()


def test_mask_overlay__without_regions():
    videos = torch.ones(1, 3, 2, 32, 32)
    painted = mask_overlay(videos, torch.tensor([[3]]))
    assert painted[..., :16, :].eq(1).all()
    assert painted[..., 16:, 16:].lt(1).all()


def test_hatch_undecoded__only_what_is_masked_and_not_decoded():
    painted = torch.full((2, 3, 2, 32, 32), 0.3)
    idx_mask, idx_decode = (
        torch.tensor([[0, 1, 2], [1, 2, 3]]),
        torch.tensor([[1], [2]]),
    )
    hatched = hatch_undecoded(painted, idx_mask, idx_decode, strength=1.0)
    changed = hatched.ne(painted).all(dim=(1, 2))
    tokens = changed.unfold(1, 16, 16).unfold(2, 16, 16).flatten(3).float().mean(-1)
    expected = torch.tensor([[[1.0, 0], [1, 0]], [[0, 1], [0, 1]]])
    assert torch.equal(tokens, expected)


def test_masked_pixels__of_each_token():
    for token in range(8):
        masked = masked_pixels(torch.tensor([[token]]), (1, 3, 4, 32, 32))[0, 0]
        time, row, column = token // 4, token // 2 % 2, token % 2
        expected = torch.zeros(2, 2, 2, 16, 2, 16, dtype=torch.bool)
        expected[time, :, row, :, column] = True
        assert torch.equal(masked, expected.view(4, 32, 32))
