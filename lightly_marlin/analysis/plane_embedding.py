"""Features as points in a plane, for plots: t-SNE or principal components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from lightly_marlin.utils.dependency import require

__all__ = ["METHODS", "MIN_TSNE_ROWS", "PlaneEmbedding", "embed_in_plane"]

METHODS = ("tsne", "pca")

_PURPOSE = "Laying out features in a plane"

# "Typical values are between 5 and 50" [0]; 30 is the most common choice.
_PERPLEXITY = (5, 30)

MIN_TSNE_ROWS = 1 + 3 * _PERPLEXITY[0]
"""Distinct rows that t-SNE needs here: 3 neighbours per unit of perplexity."""

_MAX_COMPONENTS = 50


@dataclass(frozen=True)
class PlaneEmbedding:
    """Features in two dimensions.

    Attributes:
        coordinates: float64 array (n, 2).
        method: Method of the embedding, one of `METHODS`.
        axes: Labels of the two axes; empty if they have no meaning.
        meaning: Interpretation of the picture in a sentence.
        reason: Why the method differs from the requested one; None if it does not.
    """

    coordinates: npt.NDArray[np.float64]
    method: str
    axes: tuple[str, str]
    meaning: str
    reason: str | None = None


def embed_in_plane(
    features: Tensor, method: str = "tsne", *, seed: int = 0
) -> PlaneEmbedding:
    """Lays features out in a plane; the same features and seed give the same positions.

    t-SNE [0] sees at most the first 50 principal components, starts from the first two,
    and uses a perplexity (about the effective number of neighbours of a point) of 30,
    or a third of the other rows if there are few. Below `MIN_TSNE_ROWS` distinct rows
    it would show its own artefacts rather than the features; principal components are
    used instead, and `reason` says so. It runs on one core: 3000 rows take about 15 s.

    Args:
        features: Floating-point tensor (n, D), at least one row.
        method: "tsne" or "pca".
        seed: Seed of t-SNE.

    Returns:
        The positions and their meaning.

    Raises:
        ValueError: If the method or shape is not supported, or a value is not finite.

    - [0]: van der Maaten and Hinton, Visualizing Data using t-SNE, JMLR 2008.
    """
    if method not in METHODS:
        raise ValueError(
            f"Invalid method ({method!r}). Supported values are {', '.join(METHODS)}."
        )
    if features.ndim != 2 or 0 in features.shape:
        raise ValueError(
            f"Invalid shape of features {tuple(features.shape)}. Supported is (n, D) "
            "with n and D of at least 1."
        )
    table = features.detach().double().cpu().numpy()
    if not np.isfinite(table).all():
        raise ValueError("Invalid features: NaN or infinity. All must be finite.")
    threads = require("threadpoolctl", _PURPOSE)
    # With several threads, sums are rounded differently, and t-SNE amplifies a
    # difference in the last digit to a visible one.
    with threads.threadpool_limits(1):
        components, shares = _principal_components(table)
        different = len(np.unique(table, axis=0)) if components.any() else 1
        if method == "pca" or different < MIN_TSNE_ROWS:
            return _plane(components, shares, different if method == "tsne" else None)
        return _neighbours(components, seed)


def _principal_components(
    table: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Returns up to 50 components (n, k), k at least 2, and their shares of variance.

    Rows that are equal up to rounding have components of 0 and shares of 0.
    """
    decomposition = require("sklearn.decomposition", _PURPOSE)
    count = min(_MAX_COMPONENTS, *table.shape)
    components = np.zeros((len(table), max(2, count)))
    shares = np.zeros(max(2, count))
    spread = float(((table - table.mean(axis=0)) ** 2).sum())
    # Equal rows leave rounding errors, which would get shares of their own.
    if spread > np.finfo(np.float64).eps * float((table**2).sum()):
        pca = decomposition.PCA(count, svd_solver="full")
        components[:, :count] = pca.fit_transform(table)
        shares[:count] = pca.explained_variance_ratio_
    return components, shares


def _plane(
    components: npt.NDArray[np.float64],
    shares: npt.NDArray[np.float64],
    different: int | None,
) -> PlaneEmbedding:
    """Returns the first two components; `different` is given if rows were too few."""
    axes = [
        f"principal component {number}: {100 * share:.0f} % of the variance"
        for number, share in enumerate(shares[:2].tolist(), start=1)
    ]
    reason = None
    if different is not None:
        reason = (
            f"t-SNE needs at least {MIN_TSNE_ROWS} different windows, and there are "
            f"{different}: principal components are drawn instead"
        )
    return PlaneEmbedding(
        coordinates=components[:, :2].copy(),
        method="pca",
        axes=(axes[0], axes[1]),
        meaning=(
            "The plane in which the features differ most: what lies far apart is "
            f"different; {100 * shares[:2].sum():.0f} % of all variance is seen here."
        ),
        reason=reason,
    )


def _neighbours(components: npt.NDArray[np.float64], seed: int) -> PlaneEmbedding:
    """Returns the t-SNE plane."""
    manifold = require("sklearn.manifold", _PURPOSE)
    perplexity = min(_PERPLEXITY[1], (len(components) - 1) / 3)
    # In units of their spread: squares of tiny features would underflow in float32.
    scaled = components / np.sqrt((components**2).sum(axis=1).mean())
    tsne = manifold.TSNE(perplexity=perplexity, init="pca", random_state=seed)
    return PlaneEmbedding(
        coordinates=tsne.fit_transform(scaled).astype(np.float64),
        method="tsne",
        axes=("", ""),
        meaning=(
            f"t-SNE, perplexity {perplexity:.3g}: windows that lie close together have "
            "similar features. The axes, the sizes of groups and the distances between "
            "far groups mean nothing."
        ),
    )
