"""The plane in which features differ most, for drawing them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

__all__ = ["PrincipalPlane", "principal_plane"]


@dataclass(frozen=True)
class PrincipalPlane:
    """Features in two dimensions.

    Attributes:
        coordinates: float64 array (n, 2): the first two principal components.
        shares: The share of the features' variance that each of the two holds, in
            [0, 1]; 0 where the features do not differ.
    """

    coordinates: npt.NDArray[np.float64]
    shares: tuple[float, float]


def principal_plane(features: Tensor) -> PrincipalPlane:
    """Projects features onto their first two principal components.

    A linear map, the same for the same features: distances in the picture are never
    larger than those of the features, and there is nothing to tune.

    Args:
        features: Floating-point tensor (n, D), at least one row.

    Returns:
        The coordinates. The component of the largest weight of each axis is positive,
        because signs are arbitrary otherwise.

    Raises:
        ValueError: If the shape is another or a value is not finite.
    """
    if features.ndim != 2 or 0 in features.shape:
        raise ValueError(
            f"Invalid shape of features {tuple(features.shape)}. Supported is (n, D) "
            "with n and D of at least 1."
        )
    table = features.detach().double().cpu().numpy()
    if not np.isfinite(table).all():
        raise ValueError("Invalid features: NaN or infinity. All must be finite.")
    centred = table - table.mean(axis=0)
    _, lengths, axes = np.linalg.svd(centred, full_matrices=False)
    axes, lengths = axes[:2], lengths[:2]
    leading = np.abs(axes).argmax(axis=1, keepdims=True)
    axes = axes * np.sign(np.take_along_axis(axes, leading, axis=1))
    coordinates = np.zeros((len(table), 2))
    coordinates[:, : len(axes)] = centred @ axes.T
    total = float((centred**2).sum())
    # Equal rows leave rounding errors, which would make up shares of their own.
    if total <= np.finfo(np.float64).eps * max(1.0, float((table**2).sum())):
        return PrincipalPlane(np.zeros_like(coordinates), (0.0, 0.0))
    shares = [*(lengths**2 / total), 0.0]
    return PrincipalPlane(coordinates, (float(shares[0]), float(shares[1])))
