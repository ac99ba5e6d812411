import dataclasses

import pytest
import torch

from lightly_marlin.models import LatentHead, LatentPredictor, MarlinDecoder


@pytest.fixture
def tokens(split_tokens):
    torch.manual_seed(0)
    return torch.randn(2, 4, 24), *split_tokens(2, 32, 4)


def test_predictor__equals_its_parts(toy, tokens):
    """Embed, add positions, fill in mask tokens, blocks, norm, project, cut."""
    visible, idx_keep, idx_mask = tokens
    predictor = LatentPredictor(toy)
    decoder = predictor.decoder
    positions = decoder.pos_embed[0]
    both = torch.cat(
        [
            predictor.embed(visible) + positions[idx_keep],
            decoder.mask_token + positions[idx_mask],
        ],
        dim=1,
    )
    expected = decoder.head(decoder.norm(decoder.blocks(both)))[:, 4:]
    pred = predictor(visible, idx_keep, idx_mask)
    assert pred.shape == (2, 28, 24)
    torch.testing.assert_close(pred, expected)


def test_predictor__may_have_other_sizes_than_the_decoder(toy, tokens):
    config = dataclasses.replace(toy, decoder_dim=16, decoder_depth=3)
    predictor = LatentPredictor(config)
    assert len(predictor.decoder.blocks) == 3
    assert predictor(*tokens).shape == (2, 28, 24)


def test_predictor__every_weight_learns_and_the_table_does_not(toy, tokens):
    predictor = LatentPredictor(toy)
    predictor(*tokens).square().sum().backward()
    without = {n for n, p in predictor.named_parameters() if p.grad is None}
    assert without == {"decoder.pos_embed"}


def test_predictor__gradient_reaches_the_encoder(toy, tokens):
    visible, idx_keep, idx_mask = tokens
    visible.requires_grad_()
    LatentPredictor(toy)(visible, idx_keep, idx_mask).square().sum().backward()
    assert (visible.grad.abs().sum(dim=-1) > 0).all()


def test_head__shares_the_pixel_decoder(toy, split_tokens):
    torch.manual_seed(0)
    visible, (idx_keep, idx_mask) = torch.randn(2, 4, 12), split_tokens(2, 32, 4)
    decoder, head = MarlinDecoder(toy), LatentHead(12, 24)
    decoded = decoder.forward_tokens(visible, idx_keep, idx_mask)
    pred = head(decoded)
    torch.testing.assert_close(pred, decoded @ head.proj.weight.T + head.proj.bias)
    assert pred.shape == (2, 28, 24)
    assert (head.proj.bias == 0).all()
