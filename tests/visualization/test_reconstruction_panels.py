import pytest
import torch

from lightly_marlin.visualization.reconstruction_panels import (
    reconstruction_footer,
    reconstruction_panels,
)


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
