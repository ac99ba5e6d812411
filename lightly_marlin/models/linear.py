"""A linear layer that is fast on every CPU.

PyTorch computes float32 matrix products on x86 with MKL, which runs at half speed on
processors of other makers than Intel, and convolutions with oneDNN, which does not. A
linear layer is a 1x1 convolution over a channels-last picture, and a row-major matrix
is such a picture without a copy.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.backends import mkldnn

__all__ = ["Linear", "linear"]


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Computes x @ weight.T + bias, as `torch.nn.functional.linear` does.

    Args:
        x: Floating-point tensor (..., K).
        weight: Floating-point tensor (N, K).
        bias: Floating-point tensor (N,), or None.

    Returns:
        Tensor (..., N), equal to PyTorch's within rounding.
    """
    if not _prefers_convolution(x, weight):
        return F.linear(x, weight, bias)
    rows = x.reshape(1, 1, -1, x.shape[-1]).permute(0, 3, 1, 2)
    out = F.conv2d(rows, weight[:, :, None, None], bias)
    return out.permute(0, 2, 3, 1).reshape(*x.shape[:-1], weight.shape[0])


class Linear(nn.Linear):
    """`torch.nn.Linear`, computed by `linear`."""

    def forward(self, x: Tensor) -> Tensor:
        """Applies the layer to (..., K), giving (..., N)."""
        return linear(x, self.weight, self.bias)


def _prefers_convolution(x: Tensor, weight: Tensor) -> bool:
    # Compilers and exporters know what to do with a plain matrix product.
    if torch.compiler.is_compiling():
        return False
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and x.numel() > 0
        and not torch.is_autocast_enabled("cpu")
        and bool(mkldnn.is_available())  # type: ignore[no-untyped-call]
    )
