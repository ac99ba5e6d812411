"""Contrast of two clips of each track."""

from __future__ import annotations

import torch
from lightly.loss import NTXentLoss
from lightly.utils import dist
from torch import Tensor, nn

from lightly_marlin.kernels.checks import check_floating

__all__ = ["ClipContrastLoss"]


class ClipContrastLoss(nn.Module):
    """Lightly's `NTXentLoss` [0] in float32, which refuses a batch without negatives.

    Under autocast, `NTXentLoss` rounds its logits to 8 or 11 bits; and a single pair
    gives a loss of 0 without gradient, silently. Chance is log(2 B - 1) for B pairs of
    all processes. The memory bank is not offered: checkpoints do not hold it, so
    training could not resume exactly.

    Every other clip of a batch is a negative: keep two tracks of one person apart with
    `DistinctGroupSampler`. Two clips of a track share background, light and identity,
    so this loss learns those; beside other losses, give it a small weight.

    - [0]: SimCLR, 2020, https://arxiv.org/abs/2002.05709

    Args:
        temperature: Divisor of the cosines; positive, SimCLR's 0.1 to 0.5.
        gather_distributed: Whether the clips of all processes are negatives; batches
            must then be of equal size. The gradient, averaged over processes, is that
            of one process with the joint batch.

    Raises:
        ValueError: If the temperature is not positive.

    Examples:
        >>> first = torch.randn(4, 128, requires_grad=True)
        >>> loss = ClipContrastLoss()(first, torch.randn(4, 128))
        >>> loss.backward()
    """

    def __init__(
        self, temperature: float = 0.5, gather_distributed: bool = False
    ) -> None:
        super().__init__()
        if not temperature > 0:
            raise ValueError(f"Invalid temperature {temperature}: must be positive.")
        self.gather_distributed = gather_distributed
        self.ntxent = NTXentLoss(
            temperature=temperature, gather_distributed=gather_distributed
        )

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Returns the loss of one batch, computed in float32 even under autocast.

        Args:
            first: (B, E) floating point: projections of one clip of each track.
            second: (B, E) floating point: projections of another clip of each.

        Returns:
            Scalar, float32 (float64 if an argument is).

        Raises:
            ValueError: If the shapes differ, there are fewer than two pairs, or a dtype
                is not floating point.
        """
        check_floating("first", first, ndim=2)
        check_floating("second", second, ndim=2)
        if first.shape != second.shape:
            raise ValueError(
                "first and second must have the same shape (B, E), got "
                f"{tuple(first.shape)} and {tuple(second.shape)}."
            )
        processes = dist.world_size() if self.gather_distributed else 1
        if len(first) * processes < 2:
            raise ValueError(
                f"Invalid batch of {len(first)} pairs: at least 2 are needed. Raise "
                "the batch size, or gather over several processes."
            )
        dtype = torch.promote_types(first.dtype, second.dtype)
        dtype = torch.promote_types(dtype, torch.float32)
        with torch.autocast(first.device.type, enabled=False):
            loss: Tensor = self.ntxent(first.to(dtype), second.to(dtype))
        return loss
