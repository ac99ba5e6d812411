"""Targets: losses, scores and constants, on values worked out by hand."""

import math

import pytest
import torch
import torch.nn.functional as F

from lightly_marlin.evaluation import Target
from lightly_marlin.utils.errors import UsageError

NAN = math.nan


def test_loss__binary_skips_empty_labels():
    outputs = torch.tensor([[0.3], [-1.2], [9.0]], requires_grad=True)
    labels = torch.tensor([[1.0], [0.0], [NAN]])
    loss = Target("binary", ("smile",)).loss(outputs, labels)
    expected = (math.log1p(math.exp(-0.3)) + math.log1p(math.exp(-1.2))) / 2
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-6)
    loss.backward()
    assert outputs.grad[2] == 0


def test_loss__multilabel_is_a_mean_over_known_cells():
    outputs = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[1, 0, NAN]] * 4 + [[NAN, NAN, 1]])
    cells = [
        F.binary_cross_entropy_with_logits(outputs[i, j], labels[i, j])
        for i in range(5)
        for j in range(3)
        if not labels[i, j].isnan()
    ]
    loss = Target("multilabel", ("a", "b", "c")).loss(outputs, labels)
    torch.testing.assert_close(loss, torch.stack(cells).mean())


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss__multiclass_equals_cross_entropy(smoothing):
    outputs = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    target = Target("multiclass", ("a", "b", "c"))
    labels = torch.tensor([[0.0], [1], [2], [1], [NAN], [0]])
    known = ~labels[:, 0].isnan()
    expected = F.cross_entropy(
        outputs[known], labels[known, 0].long(), label_smoothing=smoothing
    )
    loss = target.loss(outputs, labels, label_smoothing=smoothing)
    torch.testing.assert_close(loss, expected)
    # Soft labels of one class each are the same labels.
    soft = target.loss(outputs, target.truth(labels), label_smoothing=smoothing)
    torch.testing.assert_close(soft, expected)


def test_loss__regression_is_absolute():
    outputs = torch.tensor([[1.0, 2.0], [0.0, 5.0]])
    labels = torch.tensor([[0.5, NAN], [-1.0, 7.0]])
    loss = Target("regression", ("x", "y")).loss(outputs, labels)
    assert float(loss) == pytest.approx((0.5 + 1 + 2) / 3)


@pytest.mark.parametrize(
    "target",
    [
        Target("binary", ("a",)),
        Target("multilabel", ("a", "b")),
        Target("multiclass", ("a", "b")),
        Target("regression", ("a",)),
    ],
)
def test_loss__of_empty_labels_is_zero_with_a_gradient(target):
    outputs = torch.randn(3, target.num_outputs, requires_grad=True)
    loss = target.loss(outputs, torch.full((3, target.num_columns), NAN))
    loss.backward()
    assert float(loss.detach()) == 0
    assert torch.equal(outputs.grad, torch.zeros_like(outputs))


def test_scores__probabilities_or_values():
    outputs = torch.tensor([[0.0, math.log(3)]])
    torch.testing.assert_close(
        Target("multilabel", ("a", "b")).scores(outputs), torch.tensor([[0.5, 0.75]])
    )
    torch.testing.assert_close(
        Target("multiclass", ("a", "b")).scores(outputs), torch.tensor([[0.25, 0.75]])
    )
    assert torch.equal(Target("regression", ("a", "b")).scores(outputs), outputs)


def test_truth__is_onehot_with_empty_rows():
    truth = Target("multiclass", ("a", "b")).truth(torch.tensor([[1.0], [NAN], [0]]))
    expected = torch.tensor([[0.0, 1], [NAN, NAN], [1, 0]])
    torch.testing.assert_close(truth, expected, equal_nan=True)


def test_constant__frequencies_and_medians():
    several = Target("multilabel", ("a", "b", "c"))
    labels = torch.tensor([[1, 0, NAN], [1, 1, NAN], [0, NAN, NAN], [1, 0, NAN]])
    expected = torch.tensor([0.75, 1 / 3, 0.5])
    torch.testing.assert_close(several.constant(labels), expected)
    classes = Target("multiclass", ("a", "b", "c"))
    constant = classes.constant(torch.tensor([[0.0], [0], [2], [NAN], [0]]))
    torch.testing.assert_close(constant, torch.tensor([0.75, 0, 0.25]))
    value = Target("regression", ("x",))
    labels = torch.tensor([[1.0], [2], [NAN], [90]])
    assert value.constant(labels).tolist() == [2.0]
    assert value.constant(torch.full((2, 1), NAN)).tolist() == [0.0]
    assert value.constant(torch.zeros(0, 1)).tolist() == [0.0]


@pytest.mark.parametrize(
    ("kind", "names", "message"),
    [
        ("ordinal", ("a",), "Supported values are binary, multilabel"),
        ("binary", ("a", "b"), "of a binary target"),
        ("multilabel", (), "of a multilabel target"),
        ("multilabel", ("a", "a"), "a name occurs twice"),
        ("multiclass", ("happy",), "The only class is 'happy'"),
    ],
)
def test_target__names_that_do_not_fit(kind, names, message):
    with pytest.raises(UsageError, match=message):
        Target(kind, names)
