import numpy as np
import pytest
import torch

from lightly_marlin.features import WindowEncoder
from lightly_marlin.features.batching import has_bf16_units
from lightly_marlin.models import Marlin


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


@pytest.mark.parametrize(
    ("amx", "avx512", "expected"),
    [(True, False, True), (False, True, True), (False, False, False)],
)
def test_bf16_units_of_processors(amx, avx512, expected, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    assert has_bf16_units(torch.device("cpu")) is expected
