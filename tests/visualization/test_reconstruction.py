import numpy as np
import pytest
import torch

from lightly_marlin.models.patches import patchify
from lightly_marlin.visualization import (
    reconstruction_footer,
    reconstruction_panels,
    reconstruction_sheet,
)


def test_reconstruction_sheet__perfect_prediction_shows_the_original():
    videos = torch.randint(0, 256, (2, 3, 4, 160, 160), dtype=torch.uint8)
    idx_mask = torch.stack([torch.randperm(200)[:150].sort().values for _ in range(2)])
    target = patchify(videos.float() / 255)[torch.arange(2).unsqueeze(1), idx_mask]
    sheet = np.asarray(reconstruction_sheet(videos, idx_mask, target, num_frames=2))
    row, height = 160 + 22, 4 * (160 + 22) + 16
    assert sheet.shape == (2 * height, 2 * 164 - 4 + 16, 3)
    for clip in range(2):
        rows = sheet[clip * height + 8 :, 8:168]
        original, _, visible, reconstructed = (
            rows[index * row + 22 : (index + 1) * row] for index in range(4)
        )
        assert np.array_equal(original, videos[clip, :, 0].permute(1, 2, 0))
        assert np.array_equal(original, reconstructed)
        top, left = (16 * place for place in divmod(int(idx_mask[clip, 0]), 10))
        hidden = visible[top : top + 16, left : left + 16].astype(int)
        assert np.abs(hidden - 128).max() <= 1


def test_reconstruction_sheet__regions_have_a_legend():
    videos = torch.zeros(1, 3, 2, 160, 160)
    cells = torch.ones(1, 2, 20, 20, dtype=torch.int32)
    arguments = (videos, torch.tensor([[0]]), torch.zeros(1, 1, 1536))
    plain = reconstruction_sheet(*arguments, num_frames=1)
    legend = reconstruction_sheet(*arguments, cells, num_frames=1)
    below = np.asarray(legend)[plain.height :]
    assert len(np.unique(below.reshape(-1, 3), axis=0)) > 8


@pytest.fixture
def panels():
    """A grey clip of 2 x 2 x 2 tubelets; one is hidden and predicted as white."""
    videos = torch.full((1, 3, 4, 32, 32), 102, dtype=torch.uint8)
    pred = torch.ones(1, 1, 3 * 2 * 16 * 16)
    return reconstruction_panels(videos, torch.tensor([[5]]), pred)


def test_panels_show_what_they_say(panels):
    assert list(panels) == ["original", "mask over regions", "reconstruction", "error"]
    hidden = torch.zeros(4, 32, 32, dtype=torch.bool)
    hidden[2:, :16, 16:] = True  # Token 5 is the second of the second pair of frames.
    original, mask, painted, error = (panel[0] for panel in panels.values())
    torch.testing.assert_close(original, torch.full_like(original, 0.4))
    assert (painted[:, hidden] == 1).all()
    torch.testing.assert_close(painted[:, ~hidden], original[:, ~hidden])
    assert ((mask != original).any(dim=0) == hidden).all()
    # 0.6 is beyond 0.5: the brightest colour; what was not predicted is grey.
    for where, color in ((hidden, (0.99, 1.0, 0.64)), (~hidden, (0.55, 0.55, 0.55))):
        expected = torch.tensor(color)[:, None].expand(3, int(where.sum()))
        torch.testing.assert_close(error[:, where], expected)


def test_no_error_is_dark_and_not_grey():
    videos = torch.full((1, 3, 2, 16, 16), 255, dtype=torch.uint8)
    pred = torch.ones(1, 1, 3 * 2 * 16 * 16)
    error = reconstruction_panels(videos, torch.tensor([[0]]), pred)["error"]
    assert error.max() < 0.05


@pytest.mark.parametrize("width", [40, 160, 900])
def test_footer_keeps_its_width(width):
    assert [picture.width for picture in reconstruction_footer(width)] == [width] * 3
