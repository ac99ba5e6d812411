"""Numbers as heat: brighter is always more."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["heat_colors"]

# From black over purple and orange to pale yellow.
_HEAT = (
    (0.00, 0.00, 0.02),
    (0.34, 0.06, 0.43),
    (0.73, 0.21, 0.33),
    (0.98, 0.55, 0.04),
    (0.99, 1.00, 0.64),
)


def heat_colors(values: Tensor, brightest: float = 1.0) -> Tensor:
    """Colours values, from black for 0 to pale yellow.

    Args:
        values: Floating-point tensor (B, T, H, W).
        brightest: The value of the brightest colour; what lies beyond looks the same.

    Returns:
        float32 tensor (B, 3, T, H, W) in [0, 1].
    """
    colors = torch.tensor(_HEAT, device=values.device)
    position = (values / brightest).clamp(0, 1) * (len(colors) - 1)
    below = position.floor().long().clamp(max=len(colors) - 2)
    share = (position - below)[..., None]
    mixed = colors[below] * (1 - share) + colors[below + 1] * share
    return mixed.movedim(-1, 1)
