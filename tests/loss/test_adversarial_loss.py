import doctest

import pytest
import torch
from torch import nn

from lightly_marlin.loss import MarlinAdversarialLoss, adversarial_loss

ADVERSARIAL = MarlinAdversarialLoss()


def test_example_runs():
    failures, tried = doctest.testmod(
        adversarial_loss, extraglobs={"torch": torch}, report=True
    )
    assert tried == 5
    assert failures == 0


def test_known_values():
    real, fake = torch.tensor([[1.0], [3.0]]), torch.tensor([[0.0], [0.5], [1.0]])
    assert ADVERSARIAL.discriminator_loss(real, fake) == 0.5 - 2.0
    assert ADVERSARIAL.generator_loss(fake) == -0.5


def test_sign_of_gradients():
    """One pushes real scores up and fake ones down, the other fake ones up."""
    real, fake = torch.zeros(4, requires_grad=True), torch.zeros(4, requires_grad=True)
    ADVERSARIAL.discriminator_loss(real, fake).backward()
    assert (real.grad < 0).all()
    assert (fake.grad > 0).all()
    fake.grad = None
    ADVERSARIAL.generator_loss(fake).backward()
    assert (fake.grad < 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_means_are_taken_in_float32_at_least(dtype):
    scores = torch.full((1000,), 100.0, dtype=dtype)
    expected = torch.float64 if dtype == torch.float64 else torch.float32
    assert ADVERSARIAL.generator_loss(scores).dtype == expected
    assert ADVERSARIAL.generator_loss(scores) == -100


@pytest.mark.parametrize("shape", [(8,), (5, 8), (2, 3, 8)])
def test_penalty_of_a_linear_discriminator(shape):
    """Its gradient is its weight at every point: the penalty is (|w| - 1)^2."""
    torch.manual_seed(0)
    critic = nn.Linear(8, 1)
    penalty = ADVERSARIAL.gradient_penalty(critic, torch.rand(shape), torch.rand(shape))
    norm = critic.weight.norm()
    torch.testing.assert_close(penalty, (norm - 1) ** 2)
    (gradient,) = torch.autograd.grad(penalty, critic.weight)
    torch.testing.assert_close(gradient, 2 * (norm - 1) * critic.weight / norm)


def test_each_patch_has_a_point_of_its_own():
    """With score = |patch|^2 / 2 the gradient is the point itself."""
    points = []

    def critic(patches):
        points.append(patches.detach())
        return patches.square().sum(dim=-1, keepdim=True) / 2

    real, fake = torch.ones(2, 50, 4), torch.zeros(2, 50, 4)
    penalty = ADVERSARIAL.gradient_penalty(critic, real, fake)
    share = points[0][..., 0]
    assert torch.equal(points[0], share.unsqueeze(-1).expand(2, 50, 4))
    assert share.unique().numel() == 100
    assert ((share >= 0) & (share <= 1)).all()
    torch.testing.assert_close(penalty, (2 * share - 1).square().mean())


def test_generator_decides_the_points():
    critic = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    real, fake = torch.rand(6, 4), torch.rand(6, 4)
    values = [
        ADVERSARIAL.gradient_penalty(
            critic, real, fake, generator=torch.Generator().manual_seed(seed)
        ).item()
        for seed in (0, 0, 1)
    ]
    assert values[0] == values[1] != values[2]


def test_only_the_discriminator_gets_a_gradient():
    critic = nn.Sequential(nn.Linear(4, 8), nn.LeakyReLU(0.01), nn.Linear(8, 1))
    real, fake = torch.rand(6, 4), torch.rand(6, 4, requires_grad=True)
    ADVERSARIAL.gradient_penalty(critic, real, fake).backward()
    assert fake.grad is None
    assert critic[0].weight.grad.abs().sum() > 0


def test_autocast_and_low_precision_patches():
    """The penalty is that of float32, not of rounded scores."""
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(64, 32), nn.LeakyReLU(0.01), nn.Linear(32, 1))
    real, fake = torch.rand(20, 64).bfloat16(), torch.rand(20, 64).bfloat16()
    generators = [torch.Generator().manual_seed(0) for _ in range(2)]
    plain = ADVERSARIAL.gradient_penalty(
        critic, real.float(), fake.float(), generators[0]
    )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        penalty = ADVERSARIAL.gradient_penalty(critic, real, fake, generators[1])
    assert penalty.dtype == torch.float32
    assert torch.equal(penalty, plain)


def test_dead_discriminator():
    """Zero slope everywhere: penalty one, and no NaN in its gradient."""
    critic = nn.Linear(4, 1)
    nn.init.zeros_(critic.weight)
    penalty = ADVERSARIAL.gradient_penalty(critic, torch.rand(3, 4), torch.rand(3, 4))
    penalty.backward()
    assert penalty == 1
    assert critic.weight.grad.isfinite().all()


def test_value_without_gradient():
    """Validation runs under no_grad; the penalty still needs the inner gradient."""
    critic = nn.Linear(4, 1)
    with torch.no_grad():
        ADVERSARIAL.gradient_penalty(critic, torch.rand(3, 4), torch.rand(3, 4))


@pytest.mark.parametrize(
    ("real_shape", "fake_shape"), [((3, 4), (2, 4)), ((3, 4), (3, 5)), ((0, 4), (0, 4))]
)
def test_bad_patches(real_shape, fake_shape):
    real, fake = torch.zeros(real_shape), torch.zeros(fake_shape)
    with pytest.raises(ValueError, match=r"must have the same shape .* not be empty"):
        ADVERSARIAL.gradient_penalty(nn.Linear(4, 1), real, fake)


def test_no_scores():
    with pytest.raises(
        ValueError, match=r"fake_scores must hold .* got shape \(0, 1\)"
    ):
        ADVERSARIAL.generator_loss(torch.zeros(0, 1))
    with pytest.raises(ValueError, match="real_scores must hold at least one score"):
        ADVERSARIAL.discriminator_loss(torch.zeros(0), torch.zeros(3))
