"""Models small enough for tests, the reference implementation, and clips."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from marlin_pytorch import Marlin as ReferenceMarlin
from torch import Tensor

from lightly_marlin.models import MarlinConfig

_REFERENCE_SETTINGS = {
    "qkv_bias": True,
    "qk_scale": None,
    "drop_rate": 0.0,
    "attn_drop_rate": 0.0,
    "norm_layer": "LayerNorm",
    "init_values": 0.0,
}


@pytest.fixture(scope="session")
def toy() -> MarlinConfig:
    """32 tokens; 16 frames, because the reference's decoder has no other number."""
    return MarlinConfig(
        img_size=32,
        encoder_dim=24,
        encoder_depth=2,
        encoder_num_heads=2,
        decoder_dim=12,
        decoder_depth=1,
        decoder_num_heads=2,
    )


@pytest.fixture(scope="session")
def make_reference() -> Callable[[MarlinConfig], ReferenceMarlin]:
    """Builds the reference with random weights in which nothing is zero or one."""

    def make(config: MarlinConfig) -> ReferenceMarlin:
        torch.manual_seed(0)
        model = ReferenceMarlin(
            img_size=config.img_size,
            patch_size=config.patch_size,
            n_frames=config.num_frames,
            encoder_embed_dim=config.encoder_dim,
            encoder_depth=config.encoder_depth,
            encoder_num_heads=config.encoder_num_heads,
            decoder_embed_dim=config.decoder_dim,
            decoder_depth=config.decoder_depth,
            decoder_num_heads=config.decoder_num_heads,
            mlp_ratio=config.mlp_ratio,
            tubelet_size=config.tubelet_size,
            as_feature_extractor=False,
            **_REFERENCE_SETTINGS,
        ).eval()
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.data.normal_(std=0.2)
            elif "norm" in name:
                parameter.data.normal_(mean=1.0, std=0.2)
        return model

    return make


@pytest.fixture
def toy_videos(toy: MarlinConfig) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    size = (2, 3, toy.num_frames, toy.img_size, toy.img_size)
    return torch.randint(0, 256, size, generator=generator, dtype=torch.uint8)


@pytest.fixture(scope="session")
def split_tokens() -> Callable[..., tuple[Tensor, Tensor]]:
    """Draws (idx_keep, idx_mask), ascending."""

    def split(batch_size: int, num_tokens: int, num_keep: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(2)
        order = torch.rand(batch_size, num_tokens, generator=generator).argsort(dim=1)
        return order[:, :num_keep].sort()[0], order[:, num_keep:].sort()[0]

    return split


@pytest.fixture(scope="session")
def real_clip(real_videos: Path) -> Tensor:
    """16 frames at stride 2 of a near-cropped talking man: (1, 3, 16, 224, 224)."""
    with av.open(real_videos / "near_crop_talking_01.mp4") as container:
        frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    return torch.from_numpy(np.stack(frames[:32:2])).permute(3, 0, 1, 2)[None]
