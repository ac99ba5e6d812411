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


def test_mouths_have_a_weight_of_their_own():
    """The mean is over the pixels of mouths, of all frames together."""
    target = torch.zeros(1, 3, 2, 8, 8)
    generated = target.clone()
    generated[..., 0, 4:6, 2:4] = 0.5
    generated[..., 1, 4:6, 2:4] = 1
    mouths = torch.zeros(1, 2, 4, 4, dtype=torch.bool)
    mouths[:, 0, 2, 1] = mouths[:, 1, 2, 1:3] = True
    rest = LipSyncL1Loss()(generated, target)
    value = LipSyncL1Loss(mouth_weight=2.0)(generated, target, mouths)
    assert value - rest == pytest.approx(2 * (0.5 + 1 + 0) / 3)
    nowhere = LipSyncL1Loss(mouth_weight=2.0)(generated, target, mouths & False)
    assert nowhere == rest


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
    for mouths in (None, torch.zeros(2, 3, 4, 4)):
        with pytest.raises(ValueError, match=r"Invalid mouths .* \(2, 4, 'h', 'w'\)"):
            LipSyncL1Loss(mouth_weight=1.0)(generated, target, mouths)
    with pytest.raises(ValueError, match="Invalid mouth_weight -1"):
        LipSyncL1Loss(mouth_weight=-1)
    for weights in ((-1, 1), (0, 0), (float("nan"), 1)):
        with pytest.raises(ValueError, match=r"Invalid weights \(.*one must be posit"):
            LipSyncL1Loss(*weights)
