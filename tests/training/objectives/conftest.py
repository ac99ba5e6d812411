import pytest
import torch

from lightly_marlin.models import Marlin, MarlinConfig

SIZES = MarlinConfig(
    img_size=32,
    num_frames=4,
    encoder_dim=24,
    encoder_depth=2,
    encoder_num_heads=2,
    decoder_dim=16,
    decoder_depth=1,
    decoder_num_heads=2,
)
# 8 tokens: 2 x 2 x 2.
NUM_TOKENS, NUM_KEPT = 8, 3


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Marlin(SIZES)


@pytest.fixture
def batch():
    """Two clips of each of three tracks, with the visible tokens of the second."""
    generator = torch.Generator().manual_seed(1)
    shape = (3, 3, 4, 32, 32)
    first, second = (
        torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
        for _ in range(2)
    )
    idx_keep_b = torch.tensor([[0, 3, 5], [1, 2, 7], [0, 4, 6]])
    return {"video": first, "video_b": second, "idx_keep_b": idx_keep_b}


@pytest.fixture
def mask():
    """Indices of visible and of masked tokens."""
    generator = torch.Generator().manual_seed(2)
    order = torch.rand(3, NUM_TOKENS, generator=generator).argsort(dim=1)
    return order[:, :NUM_KEPT], order[:, NUM_KEPT:]
