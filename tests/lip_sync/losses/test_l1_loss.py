import doctest

import pytest
import torch

from lightly_marlin.lip_sync import LipSyncL1Loss
from lightly_marlin.lip_sync.losses import l1_loss


def draw(height=6, dtype=torch.float32):
    torch.manual_seed(0)
    generated, target = torch.rand(2, 2, 3, 4, height, 5, dtype=dtype)
    return generated.requires_grad_(), target


def naive(generated, target, whole_weight, lower_weight):
    whole, lower = [], []
    height = generated.shape[3]
    for b, c, t, y, x in torch.cartesian_prod(*map(torch.arange, generated.shape)):
        error = abs(generated[b, c, t, y, x].item() - target[b, c, t, y, x].item())
        whole.append(error)
        if y >= height // 2:
            lower.append(error)
    means = (sum(errors) / len(errors) for errors in (whole, lower))
    whole_mean, lower_mean = means
    return whole_weight * whole_mean + lower_weight * lower_mean


def test_example_runs():
    failures, tried = doctest.testmod(l1_loss, extraglobs={"torch": torch}, report=True)
    assert (failures, tried) == (0, 2)


@pytest.mark.parametrize("weights", [(1.0, 1.0), (1.0, 0.0), (0.0, 2.0), (0.5, 3.0)])
@pytest.mark.parametrize("height", [6, 5])
def test_equals_a_transcription(weights, height):
    generated, target = draw(height, torch.float64)
    value = LipSyncL1Loss(*weights)(generated, target)
    assert value.item() == pytest.approx(naive(generated, target, *weights), rel=1e-9)


def test_known_values():
    """An error of 1 in the mouth alone is half of the crop."""
    target = torch.zeros(1, 3, 2, 8, 8)
    generated = target.clone()
    generated[..., 4:, :] = 1
    assert LipSyncL1Loss()(generated, target) == 1.5
    assert LipSyncL1Loss(1, 0)(generated, target) == 0.5
    assert LipSyncL1Loss(0, 1)(1 - generated, target) == 0


def test_only_the_generated_crops_get_a_gradient():
    generated, target = draw()
    LipSyncL1Loss()(generated, target.requires_grad_()).backward()
    assert target.grad is None
    upper, lower = generated.grad[..., :3, :].abs(), generated.grad[..., 3:, :].abs()
    torch.testing.assert_close(lower, 3 * upper)


def test_low_precision_is_computed_in_float32():
    generated, target = (tensor.detach().bfloat16() for tensor in draw())
    value = LipSyncL1Loss()(generated, target)
    assert torch.equal(value, LipSyncL1Loss()(generated.float(), target.float()))


def test_errors():
    generated, target = draw()
    with pytest.raises(ValueError, match="must have the same shape"):
        LipSyncL1Loss()(generated, target[:, :, :3])
    with pytest.raises(ValueError, match="not be empty"):
        LipSyncL1Loss()(generated[:0], target[:0])
    with pytest.raises(ValueError, match="target must be a floating-point"):
        LipSyncL1Loss()(generated, target.byte())
    for weights in ((-1, 1), (0, 0), (float("nan"), 1)):
        with pytest.raises(ValueError, match=r"Invalid weights \(.*one must be posit"):
            LipSyncL1Loss(*weights)
