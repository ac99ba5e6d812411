"""LiDAR, beside a transcription of its paper and features whose rank is known."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightly_marlin.evaluation.metrics.lidar import lidar


def draw(n, q, dim, *, within=0.3, seed=0):
    """Clips of tracks: a normal mean for each track, with normal deviations."""
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(n, 1, dim, generator=generator)
    return means + within * torch.randn(n, q, dim, generator=generator)


def transcribed(features):
    """Equations 1 to 3 of the paper, with loops and an inverse square root."""
    values = features.double().numpy()
    n, q, dim = values.shape
    centre = values.reshape(-1, dim).mean(axis=0)
    between, within = np.zeros((dim, dim)), 1e-4 * np.eye(dim)
    for track in values:
        mean = track.mean(axis=0)
        between += np.outer(mean - centre, mean - centre) / (n - 1)
        for clip in track:
            within += np.outer(clip - mean, clip - mean) / (n * (q - 1))
    variances, basis = np.linalg.eigh(within)
    root = basis @ np.diag(variances**-0.5) @ basis.T
    eigenvalues = np.linalg.eigvalsh(root @ between @ root).clip(min=0)
    shares = eigenvalues / eigenvalues.sum() + 1e-8
    return np.exp(-(shares * np.log(shares)).sum())


@pytest.mark.parametrize(("n", "q", "dim"), [(9, 3, 5), (4, 2, 12), (2, 2, 1)])
def test_lidar__equals_transcription(n, q, dim):
    features = draw(n, q, dim)
    assert lidar(features) == pytest.approx(transcribed(features), rel=1e-5)
    # What all features share is no variance.
    assert lidar(features + 50) == pytest.approx(transcribed(features), rel=1e-3)


@pytest.mark.parametrize("rank", [1, 3])
def test_lidar__counts_directions_that_tell_tracks_apart(rank):
    """A simplex of rank + 1 track means has equal variance in that many directions."""
    corners = torch.eye(rank + 1, dtype=torch.float64)
    features = torch.zeros(rank + 1, 2, 8, dtype=torch.float64)
    features[..., : rank + 1] = corners[:, None]
    assert lidar(features) == pytest.approx(rank, abs=1e-4)


def test_lidar__what_varies_within_tracks_counts_less():
    """A second direction, as wide between tracks as within them, is hardly one."""
    means = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    features = means[:, None].repeat(1, 2, 1)
    assert lidar(features) == pytest.approx(2, abs=1e-5)
    features[:, 0, 1] += 1
    features[:, 1, 1] -= 1
    assert lidar(features) < 1.01


def test_lidar__of_small_features_is_the_rank_of_their_means():
    """Next to 1e-4, what varies within tracks is nothing to divide by."""
    features = draw(9, 3, 5) * torch.tensor([1, 2, 4, 8, 16])
    means = features.mean(dim=1).double().numpy()
    variances = np.linalg.svd(means - means.mean(axis=0), compute_uv=False) ** 2
    shares = variances / variances.sum()
    expected = np.exp(-(shares * np.log(shares)).sum())
    assert lidar(1e-5 * features) == pytest.approx(expected, rel=1e-3)
    assert lidar(features) > 1.5 * expected


def test_lidar__collapse():
    one = torch.full((5, 3, 4), 0.1)
    assert lidar(one) == 0.0
    # All tracks look the same, whatever their clips do.
    assert lidar(draw(1, 3, 4).expand(5, 3, 4)) == 0.0
    # Between tracks, there is but one direction.
    line = torch.linspace(0, 1, 6)[:, None, None] * torch.ones(4)
    assert lidar(line.expand(6, 2, 4)) == pytest.approx(1, abs=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 6), st.integers(2, 3), st.integers(1, 6), st.integers(0, 99))
def test_lidar__bounds(n, q, dim, seed):
    value = lidar(draw(n, q, dim, seed=seed))
    assert 1 - 1e-6 <= value <= min(n - 1, dim) + 1e-4


@pytest.mark.parametrize("shape", [(1, 2, 3), (2, 1, 3), (2, 2, 0), (4, 3)])
def test_lidar__too_few(shape):
    with pytest.raises(
        ValueError, match=r"must be \(n, q, D\), n at least 2, q at least 2"
    ):
        lidar(torch.zeros(shape))


def test_lidar__not_finite():
    with pytest.raises(ValueError, match="NaN or infinite"):
        lidar(torch.full((2, 2, 2), math.inf))
