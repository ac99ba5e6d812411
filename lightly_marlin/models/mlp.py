"""The perceptron of a transformer block, which spares memory where it may.

On CPUs, memory that is allocated anew must first be handed out by the system, page by
page. The hidden layer is the largest tensor of a block: written over rather than copied
by its activation, it costs 4 % less time of the whole encoder.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lightly_marlin.models.linear import Linear

__all__ = ["Mlp"]


class Mlp(nn.Module):
    """timm's perceptron with exact GELU, whose activation is in place in inference.

    Its layers have the names of timm's, fc1, act and fc2, and so have its weights.

    Args:
        dim: Width D of a token.
        hidden_dim: Width of the hidden layer.
    """

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.fc1 = Linear(dim, hidden_dim)
        self.act = nn.GELU()
        self.fc2 = Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Applies both layers to tokens (..., D).

        Returns:
            Tensor (..., D).
        """
        hidden = self.fc1(x)
        hidden = torch.ops.aten.gelu_(hidden) if self._spares(x) else self.act(hidden)
        out: Tensor = self.fc2(hidden)
        return out

    def _spares(self, x: Tensor) -> bool:
        """Returns whether nobody else sees the hidden layer."""
        if torch.is_grad_enabled() or torch.compiler.is_compiling():
            return False
        hooks = (self.fc1._forward_hooks, self.act._forward_hooks)
        return x.device.type == "cpu" and not any(hooks)
