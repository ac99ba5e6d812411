import doctest
import math

import pytest
import torch
from torch import nn

from lightly_marlin.loss import LatentPredictionLoss, latent_prediction_loss

IDX = torch.tensor([[0, 5, 2], [4, 1, 3]])


def draw(dtype=torch.float32):
    torch.manual_seed(0)
    pred = torch.randn(2, 3, 8, dtype=dtype, requires_grad=True)
    teacher = 3 * torch.randn(2, 6, 8, dtype=dtype) + 1
    return pred, teacher.requires_grad_()


def distance(difference, loss):
    size = abs(difference)
    if loss == "l1":
        return size
    if loss == "mse":
        return size**2
    return size**2 / 2 if size < 1 else size - 0.5


def naive(pred, teacher, loss, normalize_target):
    """The equations, number by number, in Python's floats (float64)."""
    total, count = 0.0, 0
    for b in range(pred.shape[0]):
        for k in range(pred.shape[1]):
            target = teacher[b, IDX[b, k]].tolist()
            if normalize_target:
                mean = sum(target) / len(target)
                var = sum((value - mean) ** 2 for value in target) / len(target)
                target = [(value - mean) / math.sqrt(var + 1e-5) for value in target]
            for z, h in zip(pred[b, k].tolist(), target, strict=True):
                total, count = total + distance(z - h, loss), count + 1
    return total / count


def test_example_runs():
    failures, tried = doctest.testmod(
        latent_prediction_loss, extraglobs={"torch": torch}, report=True
    )
    assert tried == 4
    assert failures == 0


@pytest.mark.parametrize("normalize_target", [True, False])
@pytest.mark.parametrize("loss", ["l1", "smooth_l1", "mse"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_the_equations(loss, normalize_target, dtype):
    pred, teacher = draw(dtype)
    value = LatentPredictionLoss(loss, normalize_target)(pred, teacher, IDX)
    assert value.dtype == dtype
    expected = naive(pred, teacher, loss, normalize_target)
    tolerance = 1e-6 if dtype == torch.float32 else 1e-12
    assert value.item() == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize(
    ("loss", "expected"), [("l1", 0.798), ("smooth_l1", 0.425), ("mse", 1.0)]
)
def test_zero_prediction_of_gaussian_features(loss, expected):
    """The baselines that the docstring names."""
    torch.manual_seed(0)
    pred, teacher = torch.zeros(1, 400, 512), torch.randn(1, 400, 512)
    value = LatentPredictionLoss(loss)(pred, teacher, torch.arange(400)[None])
    assert value.item() == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_size_and_offset_of_the_teacher_do_not_matter(scale):
    pred, teacher = draw(torch.float64)
    criterion = LatentPredictionLoss(loss="mse")
    torch.testing.assert_close(
        criterion(pred, 10 * teacher, IDX),
        criterion(pred, 10 * scale * teacher + 7, IDX),
        rtol=1e-2 if scale < 1 else 1e-5,
        atol=0,
    )


def test_constant_features_give_zero():
    """Why this loss says nothing about collapse; and no NaN from a variance of 0."""
    pred = torch.zeros(2, 3, 8, requires_grad=True)
    loss = LatentPredictionLoss()(pred, torch.ones(2, 6, 8), IDX)
    loss.backward()
    assert loss == 0
    assert pred.grad.isfinite().all()


def test_only_the_prediction_gets_a_gradient():
    pred, teacher = draw()
    LatentPredictionLoss()(pred, teacher, IDX).backward()
    assert teacher.grad is None
    # The slope of an absolute value is its sign.
    torch.testing.assert_close(pred.grad.abs(), torch.full((2, 3, 8), 1 / 48))


def test_exact_prediction():
    _, teacher = draw()
    rows = torch.arange(2)[:, None]
    target = nn.functional.layer_norm(teacher.detach(), (8,))[rows, IDX]
    assert LatentPredictionLoss()(target, teacher, IDX) < 1e-7


@pytest.mark.parametrize("loss", ["l1", "smooth_l1", "mse"])
def test_autocast_and_low_precision(loss):
    """The loss is that of float32, not of rounded features."""
    pred, teacher = (tensor.detach().bfloat16() for tensor in draw())
    criterion = LatentPredictionLoss(loss)
    plain = criterion(pred.float(), teacher.float(), IDX)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = criterion(pred, teacher, IDX)
    assert value.dtype == torch.float32
    assert torch.equal(value, plain)


@pytest.mark.parametrize("shape", [(2, 2, 8), (2, 3, 7), (1, 3, 8)])
def test_shapes_that_do_not_fit(shape):
    teacher = torch.zeros(2, 6, 8)
    with pytest.raises(ValueError, match=r"of pred .* \(2, 3, 8\) of idx and teacher"):
        LatentPredictionLoss()(torch.zeros(shape), teacher, IDX)


def test_errors():
    pred, teacher = draw()
    criterion = LatentPredictionLoss()
    with pytest.raises(ValueError, match=r"idx must be in \[0, 6\)"):
        criterion(pred, teacher, IDX + 1)
    with pytest.raises(ValueError, match="not empty"):
        criterion(pred[:, :0], teacher, IDX[:, :0])
    with pytest.raises(ValueError, match=r"Invalid loss \('l2'\). Supported values"):
        LatentPredictionLoss(loss="l2")
    with pytest.raises(ValueError, match="pred must be a floating-point tensor"):
        criterion(pred.long(), teacher, IDX)
