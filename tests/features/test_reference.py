"""Equality with `extract_video` of marlin-pytorch 0.3.4, end to end."""

import ffmpeg
import numpy as np
import pytest
import torch
from marlin_pytorch import Marlin as ReferenceMarlin
from marlin_pytorch.model import marlin as reference_module

from lightly_marlin.features import extract_video
from lightly_marlin.models import MarlinConfig, MarlinEncoder, load_weights
from lightly_marlin.video import iter_frames, write_video

TOLERANCE = {"rtol": 0, "atol": 1e-4}


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The reference with random weights and biases, and ours with the same."""
    sizes = {"encoder_depth": 2, "decoder_dim": 24, "decoder_depth": 1}
    heads = {"encoder_num_heads": 2, "decoder_num_heads": 2}
    config = MarlinConfig(encoder_dim=48, **sizes, **heads)
    torch.manual_seed(0)
    reference = ReferenceMarlin(
        img_size=224,
        patch_size=16,
        n_frames=16,
        encoder_embed_dim=48,
        decoder_embed_dim=24,
        encoder_depth=2,
        decoder_depth=1,
        **heads,
        mlp_ratio=4.0,
        qkv_bias=True,
        qk_scale=None,
        drop_rate=0.0,
        attn_drop_rate=0.0,
        norm_layer="LayerNorm",
        init_values=0.0,
        tubelet_size=2,
    ).eval()
    for parameter in reference.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn(parameter.shape)
    path = tmp_path_factory.mktemp("weights") / "reference.encoder.pt"
    torch.save(reference.state_dict(), path)
    encoder = MarlinEncoder(config)
    load_weights(encoder, path)
    return reference, encoder


@pytest.fixture
def without_tools(monkeypatch):
    """Gives the reference what it asks ffprobe and a removed torchvision function."""

    def probe(path):
        return {"streams": [{"nb_frames": str(sum(1 for _ in iter_frames(path)))}]}

    def read_video(path, channel_first=True):
        frames = torch.from_numpy(np.stack(list(iter_frames(path))))
        return frames.permute(0, 3, 1, 2)

    monkeypatch.setattr(ffmpeg, "probe", probe)
    monkeypatch.setattr(reference_module, "read_video", read_video)


def assert_equal(pair, path, **options):
    reference, encoder = pair
    expected = reference.extract_video(str(path), **options)
    found = extract_video(encoder, path, reference_windows=True, **options)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, **TOLERANCE)


@pytest.mark.parametrize("num_frames", [1, 15, 16, 17, 32, 33, 64, 65, 80])
def test_all_lengths(num_frames, pair, without_tools, tmp_path):
    generator = np.random.default_rng(num_frames)
    small = generator.integers(0, 256, (num_frames, 28, 28, 3), dtype=np.uint8)
    path = tmp_path / "noise.mp4"
    write_video(path, small.repeat(8, axis=1).repeat(8, axis=2))
    assert_equal(pair, path)


@pytest.mark.real_data
@pytest.mark.parametrize(
    "name",
    ["near_crop_talking_01", "near_crop_15frames_01", "talking_head_profile_01"],
)
def test_real_clips(name, pair, without_tools, real_videos):
    assert_equal(pair, real_videos / f"{name}.mp4")


@pytest.mark.real_data
@pytest.mark.parametrize(
    "options",
    [
        {"stride": 8},
        {"sample_rate": 3, "stride": 5},
        {"reduction": "mean"},
        {"reduction": "max"},
        {"keep_seq": True},
    ],
)
def test_options(options, pair, without_tools, real_videos):
    assert_equal(pair, real_videos / "near_crop_talking_01.mp4", **options)
