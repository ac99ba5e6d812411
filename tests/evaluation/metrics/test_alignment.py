"""Alignment and uniformity, beside loops over pairs and Lightly's loss of both."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightly.loss.hypersphere_loss import HypersphereLoss

from lightly_marlin.evaluation.metrics.alignment import alignment, uniformity


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def on_sphere(features):
    values = features.double().numpy()
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


def square(a, b):
    return ((a - b) ** 2).sum()


def test_alignment__equals_loop_over_pairs():
    features = draw(4, 3, 5)
    distances = [
        square(a, b) for track in on_sphere(features) for a, b in combinations(track, 2)
    ]
    assert len(distances) == 12
    assert alignment(features) == pytest.approx(np.mean(distances))


def test_uniformity__equals_loop_over_pairs():
    features = draw(7, 5)
    pairs = combinations(on_sphere(features), 2)
    potentials = [math.exp(-2 * square(a, b)) for a, b in pairs]
    assert uniformity(features) == pytest.approx(math.log(np.mean(potentials)))


def test_alignment_and_uniformity__equal_lightly():
    features = draw(6, 2, 5)
    first, second = features.unbind(1)
    expected = HypersphereLoss(t=2.0)(first, second).item()
    even = (uniformity(first) + uniformity(second)) / 2
    assert alignment(features) + even == pytest.approx(expected, rel=1e-5)


def test_alignment__known_values():
    x, y = torch.eye(2)
    assert alignment(torch.stack([x, 9 * x])[None]) == pytest.approx(0, abs=1e-12)
    assert alignment(torch.stack([x, y])[None]) == pytest.approx(2)
    assert alignment(torch.stack([x, -3 * x])[None]) == pytest.approx(4)
    assert alignment(torch.full((3, 4, 5), 0.1)) == pytest.approx(0, abs=1e-12)


def test_uniformity__known_values():
    assert uniformity(torch.tensor([[1.0, 0], [-2, 0]])) == pytest.approx(-8)
    assert uniformity(torch.eye(3)) == pytest.approx(-4)
    assert uniformity(torch.full((9, 5), 0.1)) == pytest.approx(0, abs=1e-12)
    # Far from each other in many dimensions: about a right angle.
    assert uniformity(draw(200, 500)) == pytest.approx(-4, abs=0.05)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 5), st.integers(2, 4), st.integers(1, 6), st.integers(0, 99))
def test_alignment_and_uniformity__bounds(n, q, dim, seed):
    features = draw(n, q, dim, seed=seed)
    assert -1e-12 <= alignment(features) <= 4
    assert -8 - 1e-9 <= uniformity(features[:, 0]) <= 1e-12


def test_alignment_and_uniformity__refuse_single_features():
    with pytest.raises(ValueError, match=r"must be \(n, q, D\), n at least 1, q at le"):
        alignment(torch.ones(3, 1, 2))
    with pytest.raises(ValueError, match=r"\(1, 2\): must be \(n, D\), n at least 2"):
        uniformity(torch.ones(1, 2))
    with pytest.raises(ValueError, match="NaN"):
        alignment(torch.full((1, 2, 1), math.nan))
    with pytest.raises(ValueError, match="NaN"):
        uniformity(torch.full((2, 1), math.nan))
