import pytest
import torch

from lightly_marlin.regions import RegionCells
from lightly_marlin.transforms import MarlinTransform


def test_marlin_transform__identity():
    clip = torch.randint(0, 256, (3, 16, 224, 224), dtype=torch.uint8)
    views = MarlinTransform()(clip)
    assert len(views) == 1
    assert torch.equal(views[0], clip)


def test_marlin_transform__samples_and_resizes():
    clip = torch.arange(31.0).view(1, 31, 1, 1).expand(3, 31, 20, 30) / 255
    (view,) = MarlinTransform(input_size=8)(clip)
    assert view.shape == (3, 16, 8, 8)
    torch.testing.assert_close(view[0, :, 0, 0] * 255, torch.arange(0.0, 31.0, 2.0))


def test_marlin_transform__pytorchvideo_sample():
    clip = {"video": torch.full((3, 4, 8, 8), 255.0), "label": 3}
    (view,) = MarlinTransform(2, 8, pixel_range=255.0)(clip)
    assert view["label"] == 3
    assert view["video"].max() == 1.0
    assert clip["video"].max() == 255.0


def test_marlin_transform__flip_exchanges_left_and_right():
    labels = torch.zeros(2, 16, 16, dtype=torch.int64)
    labels[:, :8, :8] = 2
    labels[:, 8:, 8:] = 5
    mirrored = torch.zeros_like(labels)
    mirrored[:, :8, 8:] = 3
    mirrored[:, 8:, :8] = 4
    clip = {
        "video": torch.rand(3, 2, 16, 16),
        "regions": RegionCells.from_labels(labels).bits,
    }
    (view,) = MarlinTransform(2, 16, hf_prob=1.0)(clip)
    assert torch.equal(view["video"], clip["video"].flip(-1))
    assert torch.equal(view["regions"], RegionCells.from_labels(mirrored).bits)


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (torch.zeros(16, 3, 8, 8), "Invalid shape of video"),
        (torch.zeros(3, 0, 8, 8), "not empty"),
        (torch.zeros(3, 4, 8, 8, dtype=torch.int32), "Invalid dtype of video"),
        (torch.full((3, 4, 8, 8), 255.0), r"Set pixel_range=255\.0"),
    ],
)
def test_marlin_transform__errors(clip, message):
    with pytest.raises(ValueError, match=message):
        MarlinTransform()(clip)


def test_marlin_transform__bad_options():
    with pytest.raises(ValueError, match=r"Invalid hf_prob 2"):
        MarlinTransform(hf_prob=2)
    with pytest.raises(ValueError, match=r"Invalid pixel_range 2"):
        MarlinTransform(pixel_range=2)
