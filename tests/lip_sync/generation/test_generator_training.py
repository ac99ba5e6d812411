"""A step of the training: each loss as weighted, and who learns from what."""

from types import SimpleNamespace

import pytest
import torch

from lightly_marlin.lip_sync import (
    CriticLoss,
    ImageCritic,
    LipClip,
    LipSyncGenerator,
    LipSyncL1Loss,
    LipSyncTraining,
    SyncExpert,
    SyncLoss,
    SyncWeight,
    Wav2LipGenerator,
)
from lightly_marlin.lip_sync.generation.generator_training import draw_lips
from lightly_marlin.models import MarlinConfig, MarlinEncoder
from lightly_marlin.training import WarmupCosine


@pytest.fixture
def clip():
    torch.manual_seed(0)
    target, reference = (
        torch.randint(256, (2, 3, frames, 32, 32), dtype=torch.uint8)
        for frames in (16, 1)
    )
    mel = torch.randn(2, 16, 1, 80, 16)
    mouths = torch.zeros(2, 16, 28, 28, dtype=torch.bool)
    mouths[:, :, 18:22, 10:18] = True
    return LipClip(target, reference, mel, mel[:, :12], mouths)


def marlin():
    torch.manual_seed(0)
    config = MarlinConfig(
        img_size=32, encoder_dim=16, encoder_depth=2, encoder_num_heads=2
    )
    return LipSyncGenerator(MarlinEncoder(config), size=32, audio_width=2)


def training(generator, **options):
    clips = SimpleNamespace(seed=0)
    schedule = WarmupCosine(1e-3, 0.0, 0, 10)
    module = LipSyncTraining(
        generator, clips, batch_size=2, schedule=schedule, **options
    )
    rate = SimpleNamespace(param_groups=[{"lr": 1.0}])
    module.trainer = SimpleNamespace(optimizers=[rate])
    module.logged = {}
    module.log_dict = lambda values, batch_size: module.logged.update(values)
    return module


def test_step__weighs_every_loss(clip):
    torch.manual_seed(1)
    expert, critic = SyncExpert(width=1), ImageCritic(width=1)
    weight = SyncWeight(0.5)
    module = training(
        marlin(),
        l1_loss=LipSyncL1Loss(1.0, 3.0, 2.0),
        expert=expert,
        sync_weight=weight,
        critic=critic,
        critic_weight=0.2,
    )
    weight.update(0.1)
    total = module.training_step(clip, 0)
    drawn = draw_lips(module.generator, clip)
    real = clip.target / 255
    adversarial = CriticLoss()
    parts = {
        "l1": LipSyncL1Loss(1.0, 3.0, 2.0)(drawn, real, clip.mouths),
        "sync": SyncLoss(expert)(drawn, clip.sounds),
        "generator": adversarial.generator_loss(critic(drawn)),
        "critic": adversarial.discriminator_loss(critic(real), critic(drawn)),
    }
    for name, value in parts.items():
        torch.testing.assert_close(module.logged[name], value.detach())
    wanted = parts["l1"] + 0.5 * parts["sync"] + 0.2 * parts["generator"]
    torch.testing.assert_close(total, wanted + parts["critic"])


def test_step__the_sides_do_not_mix(clip):
    """The critic gets the gradients of its own loss alone, the generator the rest."""
    critic = ImageCritic(width=1)
    module = training(marlin(), critic=critic, critic_weight=0.2)
    module.training_step(clip, 0).backward()
    found = {
        side: [p.grad.clone() for p in net.parameters() if p.grad is not None]
        for side, net in (("critic", critic), ("generator", module.generator))
    }
    module.zero_grad()
    drawn, real = draw_lips(module.generator, clip), clip.target / 255
    loss = CriticLoss()
    loss.discriminator_loss(critic(real), critic(drawn.detach())).backward()
    for grad, parameter in zip(found["critic"], critic.parameters(), strict=True):
        torch.testing.assert_close(grad, parameter.grad)
    module.zero_grad()
    l1 = LipSyncL1Loss()(drawn, real)
    (l1 + 0.2 * loss.generator_loss(critic(drawn))).backward()
    wanted = [p.grad for p in module.generator.parameters() if p.grad is not None]
    for grad, expected in zip(found["generator"], wanted, strict=True):
        torch.testing.assert_close(grad, expected)


def test_step__without_expert_and_critic_is_l1(clip):
    module = training(Wav2LipGenerator(width=2))
    total = module.training_step(clip, 0)
    torch.testing.assert_close(total, module.logged["l1"], check_dtype=False)
    missing = [name for name, value in module.logged.items() if value != value]
    assert missing == ["sync", "generator", "critic"]
    assert module.sync_loss is None


def test_groups__rates_fall_towards_the_pixels():
    module = training(marlin(), layer_decay=0.5)
    groups = module.configure_optimizers()["optimizer"].param_groups
    rates = {
        id(parameter): group["initial_lr"]
        for group in groups
        for parameter in group["params"]
    }
    encoder = module.generator.encoder
    assert rates[id(encoder.patch_embed.weight)] == 0.5**3
    assert rates[id(encoder.blocks[0].mlp.fc1.weight)] == 0.5**2
    assert rates[id(next(module.generator.head.parameters()))] == 1
    assert len(rates) == sum(p.requires_grad for p in module.generator.parameters())


def test_groups__a_frozen_encoder_is_left_out():
    generator = marlin()
    module = training(generator, tune_encoder=False, critic=ImageCritic(width=1))
    groups = module.configure_optimizers()["optimizer"].param_groups
    trained = {id(p) for group in groups for p in group["params"]}
    encoder = {id(p) for p in generator.encoder.parameters()}
    assert not trained & encoder
    rest = {id(p) for p in module.parameters() if p.requires_grad} - encoder
    assert trained == rest


def test_checkpoint__keeps_the_switch_and_leaves_the_expert_out():
    module = training(marlin(), expert=SyncExpert(width=1))
    module.sync_weight.update(0.1)
    checkpoint = {}
    module.on_save_checkpoint(checkpoint)
    other = training(marlin())
    assert other.sync_weight.value == 0
    other.on_load_checkpoint(checkpoint)
    assert other.sync_weight.value == 0.01
    assert not [name for name in module.state_dict() if "expert" in name]


def test_fit__the_expert_goes_where_the_generator_is():
    expert = SyncExpert(width=1)
    module = training(marlin(), expert=expert).to("meta")
    assert not any(p.is_meta for p in expert.parameters())
    module.on_fit_start()
    assert all(p.is_meta for p in expert.parameters())
