import doctest

import pytest
import torch
from torch import nn

from lightly_marlin.loss import InstanceDiscriminationLoss, instance_discrimination_loss

LOSS = InstanceDiscriminationLoss()


def test_example_runs():
    failures, tried = doctest.testmod(
        instance_discrimination_loss, extraglobs={"torch": torch}, report=True
    )
    assert tried == 3
    assert failures == 0


def test_known_values():
    """The same direction, a right angle, the opposite direction."""
    online = torch.tensor([[2.0, 0.0]])
    for target, expected in (([5, 0], -0.5), ([0, 3], 0.0), ([-1, 0], 0.5)):
        value = LOSS(online, torch.tensor([target], dtype=torch.float32))
        torch.testing.assert_close(value, torch.tensor(expected))


def test_equals_the_equation_and_byol():
    torch.manual_seed(0)
    online, target = torch.randn(2, 5, 7, dtype=torch.float64)
    cosines = [
        (p @ z / (p @ p).sqrt() / (z @ z).sqrt()).item()
        for p, z in zip(online, target, strict=True)
    ]
    value = LOSS(online, target)
    assert value.item() == pytest.approx(-0.5 * sum(cosines) / 5, rel=1e-12)
    unit = [nn.functional.normalize(x, dim=1) for x in (online, target)]
    byol = (unit[0] - unit[1]).square().sum(dim=1).mean()
    torch.testing.assert_close(2 + 4 * value, byol)


def test_only_the_online_vectors_get_a_gradient():
    online, target = (torch.randn(4, 6, requires_grad=True) for _ in range(2))
    LOSS(online, target).backward()
    assert target.grad is None
    assert (online.grad.abs().sum(dim=1) > 0).all()


def test_autocast_and_low_precision():
    torch.manual_seed(0)
    online, target = torch.randn(2, 8, 64).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = LOSS(online, target)
    assert value.dtype == torch.float32
    assert torch.equal(value, LOSS(online.float(), target.float()))


def test_zero_vectors_give_no_nan():
    online = torch.zeros(2, 4, requires_grad=True)
    LOSS(online, torch.zeros(2, 4)).backward()
    assert online.grad.isfinite().all()


@pytest.mark.parametrize(
    ("online", "target"), [((2, 4), (3, 4)), ((2, 4), (2, 5)), ((0, 4), (0, 4))]
)
def test_shapes_that_do_not_fit(online, target):
    with pytest.raises(ValueError, match=r"the same shape \(B, E\) and not be empty"):
        LOSS(torch.zeros(online), torch.zeros(target))


def test_tokens_instead_of_vectors():
    with pytest.raises(ValueError, match="online must have 2 dimensions"):
        LOSS(torch.zeros(2, 3, 4), torch.zeros(2, 3, 4))
