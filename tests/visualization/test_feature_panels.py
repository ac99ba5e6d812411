import numpy as np
import pytest
import torch

from lightly_marlin.visualization import feature_panels


def draw(similarity, attention, **options):
    clip = torch.full((1, 3, 4, 32, 32), 255, dtype=torch.uint8)
    return feature_panels(
        clip, torch.tensor([similarity]), torch.tensor([attention]), **options
    )


EVEN = [0.125] * 8


def test_captions_name_the_token():
    panels, _ = draw([1.0] * 8, EVEN, token=6)
    assert list(panels) == [
        "original",
        "similarity to token 1,1,0",
        "attention of token 1,1,0",
    ]
    green = (
        panels["similarity to token 1,1,0"]
        - torch.tensor([0.35, 1.0, 0.55]).view(1, 3, 1, 1, 1)
    ).abs().amax(dim=1) < 1e-6
    assert green[0, 2:, 16:, :16].any()
    assert not green[0, :2].any()


def test_mean_has_no_frame():
    panels, _ = draw([1.0] * 8, EVEN)
    assert list(panels) == ["original", "similarity to the mean", "mean attention"]
    for panel in list(panels.values())[1:]:
        # Equal values are all as dark as the lowest one.
        torch.testing.assert_close(panel, panel[:, :, :1, :1, :1].expand_as(panel))
        assert panel.max() < 0.5


def test_the_highest_value_is_the_brightest():
    panels, _ = draw([0.2, 1.0, 0.5] + [0.2] * 5, [0.65] + [0.05] * 7)
    _, similarity, attention = (panel[0, 1, 0] for panel in panels.values())
    assert similarity[0, 16] > similarity[16, 0] > similarity[0, 0]
    assert attention[0, 0] > attention[0, 16] + 0.3


@pytest.mark.parametrize("width", [60, 684])
def test_footer_states_the_scale(width):
    """Other numbers give another footer: they are written there."""
    first, second = (
        draw([low] + [1.0] * 7, EVEN, token=0).footer(width) for low in (0.25, 0.75)
    )
    assert all(picture.width == width for picture in first)
    assert not np.array_equal(np.asarray(first[0]), np.asarray(second[0]))
    assert np.array_equal(np.asarray(first[1]), np.asarray(second[1]))
