from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lightly_marlin.features import WindowEncoder
from lightly_marlin.models import Marlin, MarlinConfig, MarlinEncoder
from lightly_marlin.utils.errors import UsageError


@pytest.fixture
def clips():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (5, 16, 32, 32, 3), dtype=np.uint8)


def run(clips, *arguments, **options):
    batches = WindowEncoder(*arguments, **options)
    found = [item for key, c in enumerate(clips) for item in batches.add(key, c)]
    found += batches.flush()
    assert list(batches.flush()) == []
    keys, features = zip(*found, strict=True)
    assert keys == tuple(range(len(clips)))
    return torch.stack(features)


def as_videos(clips):
    return torch.from_numpy(clips).permute(0, 4, 1, 2, 3)


@torch.no_grad()
@pytest.mark.parametrize("batch_size", [1, 2, 5, 8])
def test_batches_change_nothing(batch_size, clips, encoder):
    features = run(clips, encoder, batch_size=batch_size)
    torch.testing.assert_close(features, encoder(as_videos(clips)))


@torch.no_grad()
def test_sequences(clips, encoder):
    features = run(clips, encoder, keep_seq=True)
    torch.testing.assert_close(features, encoder.encode(as_videos(clips)))


@torch.no_grad()
@pytest.mark.parametrize("pool", [1, 2])
def test_tokens_of_neighbouring_patches_are_averaged(pool):
    torch.manual_seed(0)
    config = MarlinConfig(
        img_size=64, encoder_dim=12, encoder_depth=1, encoder_num_heads=2
    )
    model = MarlinEncoder(config).eval()
    clips = np.random.default_rng(0).integers(0, 256, (2, 16, 64, 64, 3), np.uint8)
    found = run(clips, model, keep_seq=True, pool_tokens=pool)
    tokens = model.encode(as_videos(clips)).reshape(2, 8, 4, 4, 12)
    side = 4 // pool
    expected = torch.empty(2, 8, side, side, 12)
    for row in range(side):
        for column in range(side):
            square = tokens[:, :, row * pool :, column * pool :][:, :, :pool, :pool]
            expected[:, :, row, column] = square.mean(dim=(2, 3))
    torch.testing.assert_close(found, expected.reshape(2, -1, 12))
    assert WindowEncoder(model, keep_seq=True, pool_tokens=pool).shape == (
        8 * side**2,
        12,
    )


def test_pools_that_do_not_fit(encoder):
    with pytest.raises(UsageError, match=r"pool_tokens \(3\). It must divide the 2x2"):
        WindowEncoder(encoder, keep_seq=True, pool_tokens=3)


class Brightness(torch.nn.Module):
    """The least that a model of windows has."""

    config = SimpleNamespace(
        num_frames=16, img_size=32, encoder_dim=1, num_tokens=1, grid=(1, 1, 1)
    )

    def __init__(self):
        super().__init__()
        self.register_buffer("scale", torch.tensor(255.0))

    def forward(self, images):
        return (images / self.scale).mean(dim=(1, 2, 3, 4))[:, None]


def test_other_models_of_windows(clips):
    found = run(clips, Brightness())
    expected = torch.from_numpy(clips).double().mean(dim=(1, 2, 3, 4)) / 255
    torch.testing.assert_close(found[:, 0], expected.float())


def test_models_in_training_are_not_disturbed(clips):
    """Nothing is dropped from features, and training goes on as before."""
    model = torch.nn.Sequential(Brightness(), torch.nn.Dropout(0.5))
    model.config = Brightness.config
    plain = run(clips, Brightness())
    model.train()
    model[0].eval()
    assert torch.equal(run(clips, model), plain)
    assert [part.training for part in model.modules()] == [True, False, True]
    assert torch.equal(run(clips, model.eval()), plain)
    assert not model.training


@torch.no_grad()
def test_bf16_is_close_and_leaves_the_encoder_alone(clips, encoder):
    features = run(clips, encoder, precision="bf16")
    assert features.dtype == torch.float32
    expected = encoder(as_videos(clips))
    assert encoder.pos_embed.dtype == torch.float32
    assert torch.cosine_similarity(features, expected).min() > 0.999
    assert not torch.equal(features, expected)


def test_whole_models_are_taken_for_their_encoder(clips, encoder):
    model = Marlin(encoder.config)
    model.encoder.load_state_dict(encoder.state_dict())
    assert torch.equal(run(clips, model), run(clips, encoder))


def test_full_batches_come_at_once(clips, encoder):
    batches = WindowEncoder(encoder, batch_size=2)
    counts = [len(list(batches.add(key, clip))) for key, clip in enumerate(clips)]
    assert counts == [0, 2, 0, 2, 0]


def test_cpus_take_one_window_at_a_time(clips, encoder):
    batches = WindowEncoder(encoder)
    assert len(list(batches.add(0, clips[0]))) == 1


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"precision": "fp8"}, r"precision \('fp8'\). Supported values are 32, bf16"),
        ({"batch_size": 0}, r"batch_size \(0\)"),
    ],
)
def test_bad_options(option, message, encoder):
    with pytest.raises(ValueError, match=message):
        WindowEncoder(encoder, **option)
