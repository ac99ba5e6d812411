import pytest
import torch

from lightly_marlin.models.patches import patchify
from lightly_marlin.training import mean_color_loss


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_mean_color_loss__equals_definition(dtype):
    videos = torch.randint(0, 256, (2, 3, 4, 32, 32), dtype=torch.uint8)
    clips = videos.float() / 255
    idx_mask = torch.tensor([[0, 3, 5], [1, 2, 7]])
    rows = torch.arange(2).unsqueeze(1)
    target = patchify(clips)[rows, idx_mask]
    mean = clips.mean(dim=(2, 3, 4), keepdim=True).expand_as(clips)
    expected = (target - patchify(mean)[rows, idx_mask]).square().mean()
    given = videos if dtype == torch.uint8 else clips
    torch.testing.assert_close(mean_color_loss(given, idx_mask), expected)


def test_mean_color_loss__constant_clip_is_zero():
    videos = torch.full((1, 3, 4, 32, 32), 77, dtype=torch.uint8)
    loss = mean_color_loss(videos, torch.tensor([[0, 1]]))
    assert loss.item() == pytest.approx(0, abs=1e-12)
