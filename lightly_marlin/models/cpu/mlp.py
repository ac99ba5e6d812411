"""MLP of a transformer block that saves memory in inference on CPUs.

The operating system provides newly allocated memory page by page, which takes time. The
hidden layer is the largest tensor of a block: applying its activation in place rather
than to a copy makes the whole encoder 4 % faster.
"""

from __future__ import annotations

import torch
from timm.layers import Mlp
from torch import Tensor, nn

from lightly_marlin.models.cpu.processor import runs_plainly

__all__ = ["FastMlp"]


class FastMlp(Mlp):  # type: ignore[misc]
    """timm's MLP with its exact GELU applied in place in inference on a CPU."""

    def forward(self, x: Tensor) -> Tensor:
        """Applies both layers to tokens (..., D), giving (..., D)."""
        if self._shows_hidden(x):
            out: Tensor = super().forward(x)
        else:
            hidden = torch.ops.aten.gelu_(self.fc1(x))
            out = self.drop2(self.fc2(self.norm(self.drop1(hidden))))
        return out

    def _shows_hidden(self, x: Tensor) -> bool:
        """Returns whether any other code may see the hidden layer before its GELU."""
        if torch.is_grad_enabled() or runs_plainly(x.device):
            return True
        fc1, act = self.fc1, self.act
        exact = type(act) is nn.GELU and act.approximate == "none"
        hooks = (fc1._forward_hooks, act._forward_pre_hooks, act._forward_hooks)
        return not exact or any(hooks)
