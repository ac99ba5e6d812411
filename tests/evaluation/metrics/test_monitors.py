"""RankMe and the spread of features, on features whose values are known."""

import math

import numpy as np
import pytest
import torch

from lightly_marlin.evaluation.metrics.monitors import feature_std, rankme


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_rankme__counts_equal_directions(rank):
    basis = torch.linalg.qr(torch.randn(20, 8, dtype=torch.float64))[0][:, :rank]
    features = basis @ torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64))[0][:rank]
    # The epsilon of the paper lifts the rank by less than 1e-4.
    assert rankme(features) == pytest.approx(rank, abs=1e-4)


def test_rankme__equals_transcription():
    features = torch.randn(12, 5, generator=torch.Generator().manual_seed(0))
    gram = torch.linalg.eigvalsh((features.T @ features).double())
    shares = [math.sqrt(value) for value in gram.tolist()]
    shares = [share / sum(shares) + 1e-7 for share in shares]
    expected = math.exp(-sum(share * math.log(share) for share in shares))
    assert rankme(features) == pytest.approx(expected, rel=1e-6)


def test_rankme__does_not_depend_on_scale():
    features = torch.randn(12, 5, generator=torch.Generator().manual_seed(0))
    assert rankme(1000 * features) == pytest.approx(rankme(features), rel=1e-5)


def test_rankme__of_nothing_but_zeros():
    assert rankme(torch.zeros(4, 3)) == 0.0


def test_rankme__centred_equals_transcription():
    features = torch.randn(12, 5, generator=torch.Generator().manual_seed(0)) + 7
    values = features.double().numpy()
    singular = np.linalg.svd(values - values.mean(axis=0), compute_uv=False)
    shares = singular / singular.sum() + 1e-7
    expected = np.exp(-(shares * np.log(shares)).sum())
    assert rankme(features, centred=True) == pytest.approx(expected, rel=1e-6)
    # The common mean is one direction that outweighs the others.
    assert rankme(features) < expected / 2


def test_rankme__centred_counts_differences():
    corners = 5 * torch.eye(6) + 0.1
    assert rankme(corners, centred=True) == pytest.approx(5, abs=1e-4)
    # 0.1 has no exact mean: what is left by rounding is no rank.
    assert rankme(torch.full((7, 3), 0.1), centred=True) == 0.0
    assert rankme(torch.ones(1, 3), centred=True) == 0.0


def test_feature_std__known_values():
    # Every direction e_i once: each dimension is 1/D in the mean, E[x^2] = 1/D.
    dim = 16
    expected = math.sqrt(dim) * math.sqrt(1 / dim - 1 / dim**2)
    assert feature_std(3 * torch.eye(dim)) == pytest.approx(expected)
    assert feature_std(torch.ones(5, 4)) == pytest.approx(0, abs=1e-7)


def test_feature_std__of_a_normal_distribution_is_near_one():
    features = torch.randn(4000, 64, generator=torch.Generator().manual_seed(0))
    assert feature_std(features) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("monitor", [rankme, feature_std])
def test_monitors__refuse_what_has_no_rank(monitor):
    with pytest.raises(ValueError, match="must be"):
        monitor(torch.zeros(0, 3))
    with pytest.raises(ValueError, match="must be"):
        monitor(torch.zeros(3))
    with pytest.raises(ValueError, match="NaN"):
        monitor(torch.tensor([[math.nan, 1.0]]))
