"""Similarity and attention of tokens, against the definition and the layer itself."""

import math

import pytest
import torch

from lightly_marlin.analysis import token_attention, token_similarity
from lightly_marlin.models import MarlinConfig, MarlinEncoder


@pytest.fixture(scope="module")
def videos():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 3, 16, 32, 32, generator=generator)


def test_token_similarity__known_values():
    tokens = torch.tensor([[[2.0, 0.0], [1.0, 1.0], [0.0, 3.0], [-1.0, 0.0]]])
    expected = torch.tensor([[1.0, math.sqrt(0.5), 0.0, -1.0]])
    torch.testing.assert_close(token_similarity(tokens, 0), expected)
    # The mean is (0.5, 1), whose cosine with (1, 1) is 1.5 / sqrt(2.5).
    to_mean = token_similarity(tokens)
    assert to_mean[0, 1] == pytest.approx(1.5 / math.sqrt(2.5))
    assert token_similarity(torch.randn(3, 9, 5), 7)[:, 7].numpy() == pytest.approx(1)


def test_token_attention__gives_what_the_layer_gives(videos):
    torch.manual_seed(1)
    config = MarlinConfig(
        img_size=32, encoder_dim=24, encoder_depth=2, encoder_num_heads=1
    )
    encoder = MarlinEncoder(config).eval()
    layer = encoder.blocks[1].attn
    layer.q_bias.data.normal_()
    layer.v_bias.data.normal_()
    with torch.no_grad():
        tokens = encoder.blocks[0](encoder.preprocess(videos))
        tokens = encoder.blocks[1].norm1(tokens)
        values = tokens @ layer.qkv.weight[48:].T + layer.v_bias
        mixed = torch.stack(
            [token_attention(encoder, videos, query) for query in range(32)], dim=1
        )
        torch.testing.assert_close(layer.proj(mixed @ values), layer(tokens))
        torch.testing.assert_close(token_attention(encoder, videos), mixed.mean(dim=1))


def test_token_attention__heads_are_averaged(encoder, videos):
    with torch.no_grad():
        weights = token_attention(encoder, videos, 3, block=0)
        layer = encoder.blocks[0].attn
        tokens = encoder.blocks[0].norm1(encoder.preprocess(videos))
        q = (tokens[:, 3] @ layer.qkv.weight[:24].T + layer.q_bias).view(2, 2, 12)
        k = (tokens @ layer.qkv.weight[24:48].T).view(2, 32, 2, 12)
    scores = torch.einsum("bhd,bnhd->bhn", q, k) / math.sqrt(12)
    torch.testing.assert_close(weights, scores.softmax(dim=-1).mean(dim=1))
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(2))
    assert not torch.equal(weights, token_attention(encoder, videos, 3, block=1))


def test_errors(encoder, videos):
    with pytest.raises(ValueError, match=r"query 32. Supported is \[0, 32\)"):
        token_attention(encoder, videos, 32)
    with pytest.raises(ValueError, match=r"block 2. Supported is \[-2, 2\)"):
        token_attention(encoder, videos, block=2)
    with pytest.raises(ValueError, match=r"query -1. Supported is \[0, 4\)"):
        token_similarity(torch.ones(1, 4, 2), -1)
