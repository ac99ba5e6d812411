import pytest
import torch

from lightly_marlin.evaluation import HistogramFeatures
from lightly_marlin.features.window_model import weights_digest
from lightly_marlin.loss import gradient_histograms
from lightly_marlin.utils.errors import UsageError


def videos(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


def test_encode__histograms_of_every_tubelet():
    model = HistogramFeatures(4, 32)
    clips = videos(2, 3, 4, 32, 32)
    tokens = model.encode(clips)
    assert model.config.grid == (2, 2, 2)
    assert tokens.shape == (2, model.config.num_tokens, model.config.encoder_dim)
    assert torch.equal(tokens, gradient_histograms(clips))
    torch.testing.assert_close(model(clips), tokens.mean(dim=1))
    assert dict(model.state_dict()) == {}
    assert model.bfloat16().encode(clips).dtype == torch.bfloat16


def test_digest__differs_by_size():
    small, large = HistogramFeatures(16, 32), HistogramFeatures(16, 64)
    assert weights_digest(small) != weights_digest(large)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((3, 32), r"Invalid num_frames \(3\). It must be a multiple of tubelet"),
        ((16, 100), r"Invalid img_size \(100\). It must be a multiple of patch"),
        ((16, 0), r"Invalid img_size \(0\)"),
    ],
)
def test_config__bad_sizes(sizes, message):
    with pytest.raises(UsageError, match=message):
        HistogramFeatures(*sizes)
