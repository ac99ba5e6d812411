"""Average of gradients over processes, as one tensor.

The critic's update comes in the middle of a step. In DistributedDataParallel its
backward pass would have every gradient of the generator averaged, too, and each
backward pass would have to search the graph for what it leaves out. So the critic stays
outside, and its gradients, a few megabytes, are averaged by one reduction of one flat
tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.nn import Parameter

__all__ = ["average_gradients"]


def average_gradients(
    parameters: Iterable[Parameter], reduce: Callable[[Tensor], Tensor]
) -> None:
    """Averages gradients over all processes, in place.

    Args:
        parameters: Parameters, the same in every process; those without a gradient are
            left out, and must have none in any process.
        reduce: Returns the mean of a tensor over all processes, such as a Lightning
            strategy's `reduce`.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not gradients:
        return
    flat = reduce(torch.cat([gradient.flatten() for gradient in gradients]))
    parts = torch.split(flat, [gradient.numel() for gradient in gradients])
    means = [m.view_as(g) for m, g in zip(parts, gradients, strict=True)]
    torch._foreach_copy_(gradients, means)
