"""Places in a plane: known ones, groups, too few or equal rows, and the same again."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightly_marlin.analysis.plane_embedding import MIN_TSNE_ROWS, embed_in_plane


def groups(size, dim=64, scale=1.0):
    """Three groups of rows, as far from each other as 100 times their own size."""
    generator = torch.Generator().manual_seed(0)
    centers = 100 * torch.eye(3, dim).repeat_interleave(size, 0)
    return scale * (centers + torch.randn(3 * size, dim, generator=generator))


@pytest.mark.parametrize("size", [6, 40])
@pytest.mark.parametrize("scale", [1e-25, 1, 1e12])
def test_tsne__neighbours_are_of_the_same_group(size, scale):
    embedding = embed_in_plane(groups(size, scale=scale).double())
    assert (embedding.method, embedding.reason) == ("tsne", None)
    assert embedding.axes == ("", "")
    assert f"perplexity {min(30, (3 * size - 1) / 3):.3g}:" in embedding.meaning
    places = torch.from_numpy(embedding.coordinates)
    distance = torch.cdist(places, places).fill_diagonal_(torch.inf)
    nearest = distance.argsort(dim=1)[:, : size - 1] // size
    assert (nearest == torch.arange(3 * size)[:, None] // size).all()


def test_tsne__the_same_again_and_for_any_number_of_threads(tmp_path):
    features = groups(20)
    np.save(tmp_path / "features.npy", features.numpy())
    first, again, other = (
        embed_in_plane(features, seed=seed).coordinates for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    # A start from principal components leaves the seed little to do.
    assert first.shape == other.shape
    script = (
        "import sys, numpy, torch, lightly_marlin.features\n"
        "assert 'sklearn' not in sys.modules\n"
        "from lightly_marlin.analysis.plane_embedding import embed_in_plane\n"
        f"features = torch.from_numpy(numpy.load({str(tmp_path / 'features.npy')!r}))\n"
        "numpy.save('places.npy', embed_in_plane(features).coordinates)\n"
    )
    environment = {"OMP_NUM_THREADS": "4", "PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-c", script]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    np.testing.assert_array_equal(first, np.load(tmp_path / "places.npy"))


def test_tsne__equal_rows_share_a_place():
    features = groups(6)
    places = embed_in_plane(torch.cat([features, features])).coordinates
    spread = np.ptp(places, axis=0).max()
    assert np.abs(places[:18] - places[18:]).max() < 1e-3 * spread


@pytest.mark.parametrize("rows", [1, 2, 3, MIN_TSNE_ROWS - 1])
def test_tsne__of_few_rows_is_pca(rows):
    features = torch.randn(rows, 8, generator=torch.Generator().manual_seed(0))
    embedding = embed_in_plane(features)
    plain = embed_in_plane(features, "pca")
    assert (embedding.method, plain.reason) == ("pca", None)
    assert embedding.reason == (
        f"t-SNE needs at least 16 different windows, and there are {rows}: principal "
        "components are drawn instead"
    )
    np.testing.assert_array_equal(embedding.coordinates, plain.coordinates)


def test_tsne__counts_different_rows():
    features = groups(6)
    assert embed_in_plane(features[:MIN_TSNE_ROWS]).method == "tsne"
    few = features[: MIN_TSNE_ROWS - 1].repeat(3, 1)
    assert "there are 15:" in str(embed_in_plane(few).reason)


def test_pca__known_values():
    # Along the diagonal of the last two dimensions, and less along the first.
    features = torch.tensor([[1.0, 5, 5], [-1, 5, 5], [0, 8, 8], [0, 2, 2]])
    embedding = embed_in_plane(features, "pca")
    root = np.sqrt(18)
    expected = [[0, 1], [0, 1], [root, 0], [root, 0]]
    np.testing.assert_allclose(np.abs(embedding.coordinates), expected, atol=1e-12)
    assert embedding.axes == (
        "principal component 1: 95 % of the variance",
        "principal component 2: 5 % of the variance",
    )
    assert "100 % of all variance" in embedding.meaning


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 12), st.integers(1, 60), st.integers(0, 99), st.floats(-1e3, 1e3))
def test_pca__properties(rows, dim, seed, shift):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(rows, dim, generator=generator, dtype=torch.float64)
    coordinates = embed_in_plane(features + shift, "pca").coordinates
    assert coordinates.shape == (rows, 2)
    np.testing.assert_allclose(coordinates.mean(axis=0), 0, atol=1e-8)
    lengths = np.zeros(2)
    found = torch.linalg.svdvals(features - features.mean(dim=0))[:2]
    lengths[: len(found)] = found
    np.testing.assert_allclose(np.linalg.norm(coordinates, axis=0), lengths, atol=1e-6)


@pytest.mark.parametrize("method", ["tsne", "pca"])
@pytest.mark.parametrize("rows", [1, 3, 40])
def test_equal_features_are_one_place(rows, method):
    embedding = embed_in_plane(torch.linspace(0.1, 7.3, 5).expand(rows, -1), method)
    assert not embedding.coordinates.any()
    assert embedding.axes[0] == "principal component 1: 0 % of the variance"
    assert (embedding.reason is None) == (method == "pca")


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 3, 4)])
def test_bad_shape(shape):
    with pytest.raises(ValueError, match="Invalid shape of features"):
        embed_in_plane(torch.ones(shape))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_not_finite(value):
    with pytest.raises(ValueError, match="All must be finite"):
        embed_in_plane(torch.tensor([[1.0, value]]))


def test_unknown_method():
    with pytest.raises(
        ValueError, match=r"method \('umap'\). Supported values are tsn"
    ):
        embed_in_plane(torch.ones(1, 2), "umap")
