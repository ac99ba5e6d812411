import dataclasses

import pytest
import torch
import torch.nn.functional as F
from lightly.models.utils import get_at_index

from lightly_marlin.loss import LatentPredictionLoss
from lightly_marlin.models import (
    EmaTeacher,
    LatentHead,
    LatentPredictor,
    MarlinDecoder,
    MarlinEncoder,
)


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


def smooth_clips(batch_size, generator):
    """Clips that a few numbers determine, so that masked tokens can be guessed."""
    coarse = torch.rand(batch_size, 3, 2, 2, 2, generator=generator)
    return F.interpolate(coarse, size=(16, 32, 32), mode="trilinear")


@torch.no_grad()
def spread_over_clips(encoder):
    """Standard deviation, over clips, of the normalised token at each position."""
    clips = smooth_clips(64, torch.Generator().manual_seed(9))
    return F.layer_norm(encoder.encode(clips), (24,)).std(dim=0).mean().item()


def spread_after_training(toy, stop_gradient):
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    student, predictor = MarlinEncoder(toy), LatentPredictor(toy)
    teacher = EmaTeacher(student, method="encode")
    trained = [*student.parameters(), *predictor.parameters()]
    optimizer = torch.optim.AdamW(trained, lr=3e-3)
    before = spread_over_clips(student)
    for _ in range(100):
        clips = smooth_clips(8, generator)
        order = torch.rand(8, 32, generator=generator).argsort(dim=1)
        idx_keep, idx_mask = order[:, :8], order[:, 8:]
        pred = predictor(student.encode(clips, idx_keep=idx_keep), idx_keep, idx_mask)
        if stop_gradient:
            loss = LatentPredictionLoss()(pred, teacher(clips), idx_mask)
        else:
            target = F.layer_norm(get_at_index(student.encode(clips), idx_mask), (24,))
            loss = F.l1_loss(pred, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        teacher.update(student, 0.99)
    return spread_over_clips(student) / before


def test_predictor__features_collapse_without_a_teacher_but_not_with_one(toy):
    """Constant features are the best answer to a target that may be changed."""
    alone = spread_after_training(toy, stop_gradient=False)
    taught = spread_after_training(toy, stop_gradient=True)
    assert alone < 0.05
    assert taught > 0.15
