import numpy as np
import pytest
import torch

from lightly_marlin.evaluation import HistogramFeatures, PixelFeatures
from lightly_marlin.features import WindowEncoder
from lightly_marlin.utils.errors import UsageError


def videos(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, shape, dtype=np.uint8))


def test_forward__means_of_blocks_of_luma():
    model = PixelFeatures(16, 32, num_pictures=4, side=8)
    clips = videos(2, 3, 16, 32, 32)
    found = model(clips)
    assert found.shape == (2, model.config.encoder_dim) == (2, 256)
    red, green, blue = clips.double().unbind(1)
    luma = (0.299 * red + 0.587 * green + 0.114 * blue) / 255
    expected = [
        luma[b, t, 4 * y : 4 * y + 4, 4 * x : 4 * x + 4].mean()
        for b in range(2)
        for t in (0, 5, 10, 15)
        for y in range(8)
        for x in range(8)
    ]
    torch.testing.assert_close(found.flatten(), torch.stack(expected).float())


def test_forward__floats_are_those_of_bytes():
    model = PixelFeatures(4, 16, num_pictures=2, side=5)
    clips = videos(1, 3, 4, 16, 16)
    torch.testing.assert_close(model(clips / 255), model(clips))


def test_forward__range():
    model = PixelFeatures(2, 8, num_pictures=1, side=2)
    white = torch.full((1, 3, 2, 8, 8), 255, dtype=torch.uint8)
    torch.testing.assert_close(model(white), torch.ones(1, 4))
    assert model(0 * white).abs().max() == 0


def test_default__1024_numbers_and_one_token():
    model = PixelFeatures()
    assert (model.config.encoder_dim, model.config.num_tokens) == (1024, 1)
    clips = videos(1, 3, 16, 224, 224)
    assert torch.equal(model.encode(clips)[:, 0], model(clips))
    assert dict(model.state_dict()) == {}


@pytest.mark.parametrize(
    "model", [PixelFeatures(16, 32, side=4), HistogramFeatures(16, 32)]
)
def test_baselines__take_the_place_of_an_encoder(model):
    clips = videos(3, 16, 32, 32, 3).numpy()
    windows = WindowEncoder(model, batch_size=2)
    rows = [row for key, clip in enumerate(clips) for row in windows.add(key, clip)]
    rows += windows.flush()
    found = torch.stack([features for _, features in rows])
    expected = model(torch.from_numpy(clips).permute(0, 4, 1, 2, 3))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_pictures": 0}, r"num_pictures \(0\). It must be between 1 and 16"),
        ({"num_pictures": 17}, r"num_pictures \(17\)"),
        ({"side": 225}, r"side \(225\). It must be between 1 and 224"),
    ],
)
def test_bad_sizes(options, message):
    with pytest.raises(UsageError, match=message):
        PixelFeatures(**options)
