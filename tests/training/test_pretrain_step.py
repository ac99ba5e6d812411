"""One forward per step equals the released algorithm with two."""

import copy
import dataclasses

import pytest
import torch
from torch.optim import SGD, AdamW

from lightly_marlin.loss import MarlinAdversarialLoss, MarlinReconstructionLoss
from lightly_marlin.models import Marlin, MarlinConfig, MarlinDiscriminator
from lightly_marlin.models.patches import patchify
from lightly_marlin.training import PretrainStep
from lightly_marlin.transforms import tube_token_mask

CONFIG = MarlinConfig(
    img_size=32,
    num_frames=4,
    encoder_dim=24,
    encoder_depth=2,
    encoder_num_heads=2,
    decoder_dim=12,
    decoder_depth=1,
    decoder_num_heads=2,
)
WEIGHT = 0.3


def networks():
    torch.manual_seed(0)
    model = Marlin(CONFIG).double()
    return model, MarlinDiscriminator(CONFIG.patch_dim, 16).double()


def batch(seed):
    generator = torch.Generator().manual_seed(seed)
    videos = torch.rand(2, 3, 4, 32, 32, generator=generator, dtype=torch.float64)
    return videos, *tube_token_mask((2, CONFIG.grid), 0.5, generator=generator)


def optimizers(optimizer, model, discriminator):
    return optimizer(model.parameters(), 1e-2), optimizer(
        discriminator.parameters(), 1e-2
    )


def naive_step(model, discriminator, model_optimizer, critic_optimizer, data):
    """The released order of things: the prediction is not detached for the critic."""
    videos, idx_keep, idx_mask = data
    adversarial = MarlinAdversarialLoss()
    target = patchify(videos)[torch.arange(2).unsqueeze(1), idx_mask]

    critic_optimizer.zero_grad()
    pred = model(videos, idx_keep, idx_mask)
    loss = adversarial.discriminator_loss(discriminator(target), discriminator(pred))
    loss.backward()
    critic_optimizer.step()

    model_optimizer.zero_grad()
    pred = model(videos, idx_keep, idx_mask)
    loss = ((pred - target) ** 2).mean()
    loss = loss + WEIGHT * adversarial.generator_loss(discriminator(pred))
    loss.backward()
    model_optimizer.step()


@pytest.mark.parametrize("optimizer", [SGD, AdamW])
def test_pretrain_step__equals_two_forwards(optimizer):
    ours, naive = networks(), networks()
    ours_optimizers = optimizers(optimizer, *ours)
    naive_optimizers = optimizers(optimizer, *naive)
    step = PretrainStep(*ours, *ours_optimizers, adversarial_weight=WEIGHT)
    for seed in range(4):
        step(*batch(seed))
        naive_step(*naive, *naive_optimizers, batch(seed))
    for mine, theirs in zip(ours, naive, strict=True):
        expected = dict(theirs.named_parameters())
        for name, parameter in mine.named_parameters():
            torch.testing.assert_close(parameter, expected[name], atol=1e-9, rtol=1e-6)


def test_pretrain_step__both_networks_learn():
    model, discriminator = networks()
    before = copy.deepcopy((model.state_dict(), discriminator.state_dict()))
    step = PretrainStep(model, discriminator, *optimizers(SGD, model, discriminator))
    step(*batch(0))
    for old, network in zip(before, (model, discriminator), strict=True):
        changed = [not torch.equal(old[k], v) for k, v in network.state_dict().items()]
        assert any(changed)
    assert all(p.requires_grad for p in discriminator.parameters())


def test_pretrain_step__losses_are_those_before_the_update():
    model, discriminator = networks()
    videos, idx_keep, idx_mask = batch(0)
    with torch.no_grad():
        pred = model(videos, idx_keep, idx_mask)
        expected = MarlinReconstructionLoss()(pred, videos, idx_mask)
    step = PretrainStep(model, discriminator, *optimizers(SGD, model, discriminator))
    losses = step(videos, idx_keep, idx_mask)
    torch.testing.assert_close(losses.reconstruction, expected)
    assert not losses.reconstruction.requires_grad


def test_pretrain_step__without_discriminator():
    model, _ = networks()
    step = PretrainStep(model, None, SGD(model.parameters(), 1e-2), None)
    losses = step(*batch(0))
    assert losses.discriminator == losses.generator_adversarial == 0
    assert losses.reconstruction > 0


def test_pretrain_step__weight_0_trains_without_the_critic():
    states = []
    for critic in (True, False):
        model, discriminator = networks()
        pair = optimizers(SGD, model, discriminator)
        before = {name: x.clone() for name, x in discriminator.state_dict().items()}
        step = PretrainStep(
            model,
            discriminator if critic else None,
            pair[0],
            pair[1] if critic else None,
            adversarial_weight=0.0,
        )
        losses = step(*batch(0))
        assert losses.discriminator == losses.generator_adversarial == 0
        after = discriminator.state_dict()
        assert all(torch.equal(after[name], before[name]) for name in after)
        states.append(model.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_pretrain_step__gradient_penalty_changes_only_the_critic():
    results = []
    for penalty in (0.0, 10.0):
        model, discriminator = networks()
        step = PretrainStep(
            model,
            discriminator,
            *optimizers(SGD, model, discriminator),
            # Lost in rounding: the model cannot follow the critic.
            adversarial_weight=1e-30,
            gradient_penalty_weight=penalty,
        )
        step(*batch(0), torch.Generator().manual_seed(0))
        results.append((model.state_dict(), discriminator.state_dict()))
    (model_a, critic_a), (model_b, critic_b) = results
    assert all(torch.equal(model_a[name], model_b[name]) for name in model_a)
    assert not all(torch.equal(critic_a[name], critic_b[name]) for name in critic_a)


def test_pretrain_step__needs_both_or_neither():
    model, discriminator = networks()
    with pytest.raises(ValueError, match="Invalid discriminator_optimizer"):
        PretrainStep(model, discriminator, SGD(model.parameters(), 1e-2), None)


def test_pretrain_step__autocast_scores_with_the_updated_critic():
    """Autocast keeps low-precision copies of weights; a stale one would be wrong.

    With copies, the gradients of several uses of a weight are added up in bfloat16.
    """

    def score(keep_copies, rate):
        model, discriminator = (network.float() for network in networks())
        pair = optimizers(SGD, model, discriminator)
        pair[1].param_groups[0]["lr"] = rate
        step = PretrainStep(model, discriminator, *pair, adversarial_weight=1.0)
        videos, idx_keep, idx_mask = batch(0)
        with torch.autocast("cpu", torch.bfloat16, cache_enabled=keep_copies):
            losses = step(videos.float(), idx_keep, idx_mask)
        return losses.generator_adversarial

    updated, stale = score(False, 10.0), score(False, 0.0)
    assert (updated - stale).abs() > 0.5 * updated.abs()
    torch.testing.assert_close(score(True, 10.0), updated, rtol=0.05, atol=0)


def test_pretrain_step__default_loss_has_the_sizes_of_the_model():
    config = dataclasses.replace(CONFIG, patch_size=8)
    model = Marlin(config)
    step = PretrainStep(model, None, SGD(model.parameters(), 1e-2), None)
    idx_keep, idx_mask = tube_token_mask((1, config.grid), 0.5)
    assert step(torch.rand(1, 3, 4, 32, 32), idx_keep, idx_mask).reconstruction > 0
