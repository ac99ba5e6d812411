"""Principal components, with known values and their properties."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightly_marlin.features import principal_plane


def test_principal_plane__known_values():
    # Along the diagonal of the last two dimensions, and less along the first.
    features = torch.tensor([[1.0, 5, 5], [-1, 5, 5], [0, 8, 8], [0, 2, 2]])
    plane = principal_plane(features)
    root = np.sqrt(18)
    expected = [[0, 1], [0, -1], [root, 0], [-root, 0]]
    np.testing.assert_allclose(plane.coordinates, expected, atol=1e-12)
    assert plane.shares == pytest.approx((36 / 38, 2 / 38))


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 12), st.integers(1, 6), st.integers(0, 99), st.floats(-1e3, 1e3))
def test_principal_plane__properties(rows, dim, seed, shift):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(rows, dim, generator=generator, dtype=torch.float64)
    plane = principal_plane(features + shift)
    assert plane.coordinates.shape == (rows, 2)
    np.testing.assert_allclose(plane.coordinates.mean(axis=0), 0, atol=1e-8)
    centred = features - features.mean(dim=0)
    shown = (plane.coordinates**2).sum()
    assert sum(plane.shares) * float((centred**2).sum()) == pytest.approx(shown)
    places = torch.from_numpy(plane.coordinates)
    near, far = torch.cdist(places, places), torch.cdist(features, features)
    assert (near <= far + 1e-6).all()


@pytest.mark.parametrize("rows", [1, 3])
def test_principal_plane__equal_features(rows):
    plane = principal_plane(torch.linspace(0.1, 7.3, 5).expand(rows, -1))
    assert not plane.coordinates.any()
    assert plane.shares == (0, 0)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 3, 4)])
def test_principal_plane__bad_shape(shape):
    with pytest.raises(ValueError, match="Invalid shape of features"):
        principal_plane(torch.ones(shape))


def test_principal_plane__not_finite():
    with pytest.raises(ValueError, match="All must be finite"):
        principal_plane(torch.tensor([[1.0, torch.nan]]))
