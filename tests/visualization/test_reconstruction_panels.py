import pytest
import torch

from lightly_marlin.visualization.reconstruction_panels import (
    animation,
    error_colors,
    picture_sheet,
    reconstruction_panels,
)


@pytest.fixture
def panels():
    """A grey clip of 2 x 2 x 2 tubelets; one is hidden and predicted as white."""
    videos = torch.full((1, 3, 4, 32, 32), 102, dtype=torch.uint8)
    pred = torch.ones(1, 1, 3 * 2 * 16 * 16)
    return reconstruction_panels(videos, torch.tensor([[5]]), pred)


def test_panels_show_what_they_say(panels):
    assert list(panels) == [
        "original",
        "mask over regions",
        "reconstruction",
        "error (0 to 0.5)",
    ]
    hidden = torch.zeros(4, 32, 32, dtype=torch.bool)
    hidden[2:, :16, 16:] = True  # Token 5 is the second of the second pair of frames.
    original, mask, painted, error = (panel[0] for panel in panels.values())
    torch.testing.assert_close(original, torch.full_like(original, 0.4))
    assert (painted[:, hidden] == 1).all()
    torch.testing.assert_close(painted[:, ~hidden], original[:, ~hidden])
    assert ((mask != original).any(dim=0) == hidden).all()
    # 0.6 is beyond 0.5: the brightest colour; no error is the darkest.
    for where, color in ((hidden, (0.99, 1.0, 0.64)), (~hidden, (0.0, 0.0, 0.02))):
        expected = torch.tensor(color)[:, None].expand(3, int(where.sum()))
        torch.testing.assert_close(error[:, where], expected)


def test_brighter_is_more():
    error = torch.linspace(0, 0.6, 100).view(1, 1, 1, 100)
    colors = error_colors(error, full_error=0.6)[0, :, 0, 0]
    assert colors.shape == (3, 100)
    luma = torch.tensor([0.299, 0.587, 0.114]) @ colors
    assert (luma.diff() > 0).all()
    assert torch.equal(colors, error_colors(error / 2, full_error=0.3)[0, :, 0, 0])


def test_sheet(panels):
    sheet = picture_sheet(panels, [0, 3])
    assert sheet.size == (2 * 34, 4 * 48)
    # Reconstruction: row 2; the hidden place of frame 3 is white, of frame 0 grey.
    assert sheet.getpixel((34 + 20, 2 * 48 + 16 + 3)) == (255, 255, 255)
    assert sheet.getpixel((20, 2 * 48 + 16 + 3)) == (102, 102, 102)


def test_animation(panels):
    pictures = animation(panels)
    assert len(pictures) == 4
    assert pictures[0].size == (4 * 34 - 2, 48)
    assert pictures[3].getpixel((2 * 34 + 20, 16 + 3)) == (255, 255, 255)
    assert pictures[0].getpixel((2 * 34 + 20, 16 + 3)) == (102, 102, 102)
