"""Heat over frames: known colours at known places, captions and scales."""

import numpy as np
import pytest
import torch

from lightly_marlin.visualization import feature_overlay, feature_panels


def paint(values, value_range=(0.0, 1.0), **options):
    """Paints a white clip of 4 frames with 2x2 patches of 16 pixels, 8 tokens."""
    clip = torch.full((1, 3, 4, 32, 32), 255, dtype=torch.uint8)
    return feature_overlay(clip, torch.tensor([values]), value_range, **options)[0]


def test_feature_overlay__each_token_where_it_is():
    for token in range(8):
        values = [0.0] * 8
        values[token] = 1.0
        bright = paint(values)[1] > 0.5
        time, row, column = token // 4, token // 2 % 2, token % 2
        expected = torch.zeros(4, 32, 32, dtype=torch.bool)
        expected[2 * time : 2 * time + 2].unflatten(1, (2, 16)).unflatten(3, (2, 16))[
            :, row, :, column
        ] = True
        assert torch.equal(bright, expected)


def test_feature_overlay__known_colours():
    painted = paint([-1.0, -5, 3, 9, 1, 1, 1, 1], (-1.0, 3.0), strength=0.5)
    low, high = (painted[:, 0, row, 0] for row in (0, 16))
    # White in equal parts with black and with pale yellow.
    torch.testing.assert_close(low, torch.tensor([0.5, 0.5, 0.51]))
    torch.testing.assert_close(high, torch.tensor([0.995, 1.0, 0.82]))
    middle = torch.tensor([0.865, 0.605, 0.665])
    torch.testing.assert_close(painted[:, 2, 0, 0], middle)
    # Beyond the range nothing changes.
    torch.testing.assert_close(painted[:, 0, 0, 16], low)
    torch.testing.assert_close(painted[:, 0, 16, 16], high)


def test_feature_overlay__frames_are_grey():
    clip = torch.zeros(1, 3, 2, 16, 16)
    clip[:, 0] = 1.0
    painted = feature_overlay(clip, torch.tensor([[0.0]]), (0.0, 1.0), strength=0.0)
    torch.testing.assert_close(painted, torch.full_like(clip, 0.299))


def test_feature_overlay__the_query_is_framed():
    plain, framed = paint([0.5] * 8), paint([0.5] * 8, query=6)
    changed = (plain != framed).any(dim=0)
    expected = torch.zeros(4, 32, 32, dtype=torch.bool)
    expected[2:, 16:, :16] = True
    expected[2:, 18:30, 2:14] = False
    assert torch.equal(changed, expected)
    red, green, blue = framed[:, 2, 16, 0]
    assert green > red + 0.4
    assert green > blue + 0.4


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([0.0] * 7, {}, r"shape of values \(1, 7\). Supported is \(1, 8\)"),
        ([0.0] * 8, {"value_range": (1.0, 1.0)}, "value_range"),
        ([0.0] * 8, {"value_range": (float("nan"), 1.0)}, "value_range"),
        ([0.0] * 8, {"query": 8}, r"query 8. Supported is \[0, 8\)"),
    ],
)
def test_feature_overlay__errors(values, options, message):
    with pytest.raises(ValueError, match=message):
        paint(values, **options)


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
