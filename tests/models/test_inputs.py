import dataclasses

import pytest
import torch

from lightly_marlin.models import MarlinConfig, MarlinEncoder
from lightly_marlin.models.inputs import check_videos

CONFIG = MarlinConfig(img_size=32, num_frames=4)


@pytest.mark.parametrize(
    "videos",
    [
        torch.zeros(2, 3, 4, 32, 32, dtype=torch.uint8),
        torch.rand(2, 3, 4, 32, 32),
        torch.rand(2, 3, 4, 32, 32, dtype=torch.float64),
        torch.ones(2, 3, 4, 32, 32, dtype=torch.bfloat16),
        torch.zeros(0, 3, 4, 32, 32),
    ],
)
def test_allowed(videos):
    check_videos(videos, CONFIG)


@pytest.mark.parametrize(
    ("videos", "message"),
    [
        (
            torch.zeros(2, 3, 8, 32, 32),
            r"shape of videos \(2, 3, 8, 32, 32\). Supported is \(B, 3, 4, 32, 32\)",
        ),
        (torch.zeros(3, 4, 32, 32), r"shape of videos \(3, 4, 32, 32\)"),
        (
            torch.zeros(2, 3, 4, 32, 32, dtype=torch.int64),
            r"dtype of videos \(torch.int64\). Supported are torch.uint8",
        ),
    ],
)
def test_refused(videos, message):
    with pytest.raises(ValueError, match=message):
        check_videos(videos, CONFIG)


@pytest.mark.parametrize("value", [255.0, -1.0, torch.nan])
@pytest.mark.parametrize("gather_first", [False, True])
def test_values_out_of_range(value, gather_first):
    """Refused on both ways into the encoder."""
    encoder = MarlinEncoder(
        dataclasses.replace(CONFIG, encoder_dim=24, encoder_depth=1)
    )
    idx_keep = torch.tensor([[0, 1]]) if gather_first else None
    message = rf"videos must be in \[0, 1\], got values in \[{value:g}, {value:g}\]"
    with pytest.raises(ValueError, match=message):
        encoder(torch.full((1, 3, 4, 32, 32), value), idx_keep=idx_keep)
