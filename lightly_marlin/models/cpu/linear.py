"""Linear layer that is fast on AMD's processors.

PyTorch computes float32 matrix products on x86 with MKL, which was measured at half the
speed of oneDNN on an AMD EPYC, and convolutions with oneDNN. A linear layer is a 1x1
convolution over a channels-last image, and a row-major matrix can be viewed as such an
image without a copy.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.backends import mkldnn

from lightly_marlin.models.cpu.processor import onednn_is_faster, runs_plainly

__all__ = ["FastLinear", "linear"]


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


class FastLinear(nn.Linear):
    """`torch.nn.Linear` computed with `linear`."""

    def forward(self, x: Tensor) -> Tensor:
        """Applies the layer to (..., K), giving (..., N)."""
        return linear(x, self.weight, self.bias)


def _prefers_convolution(x: Tensor, weight: Tensor) -> bool:
    return (
        not runs_plainly(x.device)
        and x.dtype == weight.dtype == torch.float32
        and x.numel() > 0
        # A single column is a matrix-vector product, which is memory-bound: MKL is
        # faster.
        and weight.shape[0] > 1
        and not torch.is_autocast_enabled("cpu")
        and onednn_is_faster()
        and bool(mkldnn.is_available())  # type: ignore[no-untyped-call]
    )
