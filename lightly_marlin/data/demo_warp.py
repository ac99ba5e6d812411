"""Thin-plate splines: the smoothest warp that moves given points to given places.

kornia's `get_tps_transform` evaluates its kernel between the two point sets instead of
within one [1]; that system is singular where a point moves as far as its neighbour is
away, as the lids of an eye do. Here it is the textbook's, with smoothing.

- [0]: Principal Warps: Thin-Plate Splines and the Decomposition of Deformations, 1989
- [1]: https://github.com/kornia/kornia/blob/main/kornia/geometry/transform/thin_plate_spline.py
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["warp_points"]


def warp_points(
    points: Tensor, origins: Tensor, targets: Tensor, smoothing: float
) -> Tensor:
    """Warps points by the thin-plate splines that take `origins` to `targets`.

    Args:
        points: float64 tensor with shape (B, M, 2): what to warp.
        origins: float64 tensor with shape (B, N, 2): no two of a row alike.
        targets: float64 tensor with shape (B, N, 2).
        smoothing:
            At 0 the origins land on their targets exactly. Larger values, in squared
            units of the points, trade accuracy for a warp with less bending.

    Returns:
        float64 tensor with shape (B, M, 2).
    """
    batch, count, _ = origins.shape
    eye = torch.eye(count, dtype=origins.dtype, device=origins.device)
    kernel = _kernel(origins, origins) + smoothing * eye
    plane = _homogeneous(origins)
    system = origins.new_zeros(batch, count + 3, count + 3)
    system[:, :count, :count] = kernel
    system[:, :count, count:] = plane
    system[:, count:, :count] = plane.transpose(1, 2)
    values = torch.cat([targets, targets.new_zeros(batch, 3, 2)], dim=1)
    weights = torch.linalg.solve(system, values)
    basis = torch.cat([_kernel(points, origins), _homogeneous(points)], dim=-1)
    return torch.bmm(basis, weights)


def _kernel(first: Tensor, second: Tensor) -> Tensor:
    """Returns r^2 log r^2 of every pair, (B, M, N), of points (B, M, 2), (B, N, 2)."""
    squared = (first[:, :, None] - second[:, None]).square().sum(dim=-1)
    return torch.xlogy(squared, squared)


def _homogeneous(points: Tensor) -> Tensor:
    """Returns points (B, M, 2) with a leading 1, (B, M, 3)."""
    return torch.cat([torch.ones_like(points[..., :1]), points], dim=-1)
