"""Means over processes: of the critic's gradients as one tensor, of scalars.

The critic's update comes in the middle of a step. In DistributedDataParallel its
backward pass would have every gradient of the generator averaged, too, and each
backward pass would have to search the graph for what it leaves out. So the critic stays
outside, and its gradients, a few megabytes, are averaged by one reduction of one flat
tensor.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, distributed
from torch.nn import Module, Parameter

__all__ = ["average_gradients", "copy_to_all_processes", "mean_over_processes"]


def mean_over_processes(tensor: Tensor) -> Tensor:
    """Returns the mean of a tensor over all processes, in place.

    A strategy's `reduce` would do the same after a barrier, at which the host waits
    until the device has done all it was given.

    Args:
        tensor: Floating-point tensor, of the same shape in every process.
    """
    distributed.all_reduce(tensor)
    return tensor.div_(distributed.get_world_size())


def average_gradients(parameters: Iterable[Parameter]) -> None:
    """Averages gradients over all processes, in place.

    Args:
        parameters: Parameters, the same in every process; those without a gradient are
            left out, and must have none in any process.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not gradients:
        return
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    mean_over_processes(flat)
    parts = torch.split(flat, [gradient.numel() for gradient in gradients])
    means = [m.view_as(g) for m, g in zip(parts, gradients, strict=True)]
    torch._foreach_copy_(gradients, means)


def copy_to_all_processes(module: Module) -> None:
    """Gives all processes the first one's parameters, as the wrapper does for others.

    Args:
        module: Module of the same parameters in every process.
    """
    for parameter in module.parameters():
        distributed.broadcast(parameter.detach(), 0)
