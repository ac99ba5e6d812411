"""Retrieval of tracks, on features whose nearest neighbours are known."""

import math

import numpy as np
import pytest
import torch

from lightly_marlin.evaluation.metrics.identity_knn import identity_knn


def draw(n, q, dim, within, seed=0):
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(n, 1, dim, generator=generator)
    return means + within * torch.randn(n, q, dim, generator=generator)


@pytest.mark.parametrize("within", [0.3, 1.0, 3.0])
def test_identity_knn__equals_transcription(within):
    features = draw(12, 3, 4, within)
    values = features.double().numpy()
    values /= np.linalg.norm(values, axis=2, keepdims=True)
    hits = [
        np.argmax(values[:, 0] @ values[track, clip]) == track
        for track in range(12)
        for clip in (1, 2)
    ]
    assert 0 < np.mean(hits) <= 1
    assert identity_knn(features) == pytest.approx(np.mean(hits))


def test_identity_knn__extremes():
    tracks = torch.eye(4)
    # Lengths do not matter, directions do.
    assert identity_knn(torch.stack([tracks, 7 * tracks], dim=1)) == 1
    assert identity_knn(torch.stack([tracks, tracks.roll(1, dims=0)], dim=1)) == 0
    # Of equal features, one track is the answer to all: chance.
    assert identity_knn(torch.ones(5, 2, 3)) == pytest.approx(1 / 5)


def test_identity_knn__of_noise_is_near_chance():
    noise = torch.randn(100, 11, 8, generator=torch.Generator().manual_seed(0))
    assert identity_knn(noise) == pytest.approx(1 / 100, abs=0.01)


@pytest.mark.parametrize("shape", [(1, 2, 3), (2, 1, 3), (2, 3)])
def test_identity_knn__too_few(shape):
    with pytest.raises(ValueError, match=r"must be \(n, q, D\), n at least 2"):
        identity_knn(torch.ones(shape))


def test_identity_knn__not_finite():
    with pytest.raises(ValueError, match="NaN"):
        identity_knn(torch.full((2, 2, 2), math.nan))
