import pytest
import torch

from lightly_marlin.models import MarlinConfig
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
        (torch.full((1, 3, 4, 32, 32), 255.0), r"from 255 to 255.*\[0, 1\]"),
        (torch.full((1, 3, 4, 32, 32), -1.0), r"from -1 to -1.*\[0, 1\]"),
        (torch.full((1, 3, 4, 32, 32), torch.nan), r"from nan to nan.*\[0, 1\]"),
    ],
)
def test_refused(videos, message):
    with pytest.raises(ValueError, match=message):
        check_videos(videos, CONFIG)
